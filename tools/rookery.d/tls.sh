# A test authority and the front's certificate, made once per instance.

tls_alt_names() {
    local names='DNS:localhost,IP:127.0.0.1,IP:::1'

    case $HOST in
    localhost | 127.0.0.1 | ::1) ;;
    *:* | *[0-9].*[0-9].*[0-9].*[0-9]) names+=",IP:$HOST" ;;
    *) names+=",DNS:$HOST" ;;
    esac
    printf '%s' "$names"
}

tls_make_authority() {
    (
        umask 077
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=Rookery test authority' \
            -addext 'basicConstraints=critical,CA:true,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
            -keyout "$DIR/secrets/ca.key" -out "$DIR/secrets/ca.pem" 2>/dev/null
    ) || die "openssl could not make the test authority"
    install -m 644 "$DIR/secrets/ca.pem" "$DIR/ca.pem"
}

# tls_make_certificate NAMES: signed for two years; replaced when the names change.
tls_make_certificate() {
    local names=$1 dir="$DIR/secrets"

    (
        umask 077
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=rookery' \
            -keyout "$dir/front.key" -out "$dir/front.csr" 2>/dev/null &&
            openssl x509 -req -in "$dir/front.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 730 \
                -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\n' "$names") \
                -out "$dir/front.crt" 2>/dev/null &&
            cat "$dir/front.crt" "$dir/front.key" >"$dir/front.pem"
    ) || die "openssl could not make the front's certificate for $names"
    rm -f "$dir/front.csr"
    printf '%s' "$names" >"$dir/front.names"
}

TLS_RENEWED=no

# tls_prepare NAMES
tls_prepare() {
    local names=$1

    [ -f "$DIR/ca.pem" ] && [ -f "$DIR/secrets/ca.key" ] || tls_make_authority
    if [ "$(cat "$DIR/secrets/front.names" 2>/dev/null)" != "$names" ]; then
        tls_make_certificate "$names"
    fi
}

# The operator's certificate, which agents believe as this machine does. TLS_RENEWED: haproxy has to read another than before.
tls_take() {
    (umask 022 && cat /etc/ssl/certs/ca-certificates.crt "$CERT" >"$DIR/ca.pem")
    printf '%s' "$CERT" >"$DIR/secrets/front.names"
    ! cat "$CERT" "$KEY" | replace_if_changed "$DIR/secrets/front.pem" || TLS_RENEWED=yes
}
