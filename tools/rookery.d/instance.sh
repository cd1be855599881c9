# One instance: its directory, its settings, its ports and addresses.
#
#   DIR/instance    base_port, host, replicas, tls, cert, key, stores: what `up` was told, kept for the next command
#   DIR/secrets     keys, passwords, the token and the setup key; owner only
#   DIR/conf        a configuration file for each process
#   DIR/pid         a file for each process: pid, start time, boot id
#   DIR/log         a log file for each process
#   DIR/run         Unix sockets (a link to a short directory when DIR is too long for a socket's name)
#   DIR/postgres    the database (a link when DIR lies where the database's user may not go)

MAX_REPLICAS=5

# Sets DIR, INSTANCE_ID and, from the instance file when there is one, BASE_PORT, HOST, REPLICAS, TLS, CERT, KEY, STORES.
instance_open() {
    local key value

    DIR=$(realpath -m -- "$1")
    INSTANCE_ID=$(printf '%s' "$DIR" | sha256sum | cut -c1-10)
    BASE_PORT=24000 HOST=127.0.0.1 REPLICAS=2 TLS=no CERT= KEY= STORES=
    [ -f "$DIR/instance" ] || return 0
    while IFS='=' read -r key value; do
        case $key in
        base_port) BASE_PORT=$value ;;
        host) HOST=$value ;;
        replicas) REPLICAS=$value ;;
        tls) TLS=$value ;;
        cert) CERT=$value ;;
        key) KEY=$value ;;
        stores) STORES=$value ;;
        esac
    done <"$DIR/instance"
}

instance_exists() {
    [ -f "$DIR/instance" ]
}

instance_save() {
    printf '%s\n' "base_port=$BASE_PORT" "host=$HOST" "replicas=$REPLICAS" "tls=$TLS" "cert=$CERT" "key=$KEY" "stores=$STORES" \
        >"$DIR/instance.new"
    mv -f "$DIR/instance.new" "$DIR/instance"
}

# One command at a time changes an instance. The lock file also marks the directory as one.
instance_lock() {
    { : >>"$DIR/.lock"; } 2>/dev/null || die "cannot write to $DIR" \
        "it belongs to $(stat -c %U "$DIR"): do this as that user, or choose another directory:  --dir DIR"
    exec 9>>"$DIR/.lock"
    flock -n 9 && return
    note "waiting for another rookery command that is busy with $DIR"
    flock -w 600 9 || die "another rookery command is still busy with $DIR" "wait for it, or end it"
}

# A directory of somebody else's things must not become an instance: `down --wipe` would remove them.
instance_claim() {
    [[ $DIR != *[[:space:]\'\"\\]* ]] || die "$DIR: the name holds a space, a quote or a backslash" \
        "choose another directory:  --dir DIR"
    mkdir -p "$DIR" 2>/dev/null || die "cannot create $DIR" "choose another directory:  --dir DIR"
    [ -e "$DIR/.lock" ] || instance_exists || [ -z "$(ls -A "$DIR" 2>/dev/null)" ] ||
        die "$DIR is not empty, and no instance of ours" "name an empty or a new directory:  --dir DIR"
}

instance_make_dirs() {
    local place

    mkdir -p "$DIR/conf" "$DIR/pid" "$DIR/log"
    mkdir -p -m 700 "$DIR/secrets"
    place=$(run_place)
    if [ "$place" != "$DIR/run" ]; then
        make_private_dir "$place"
        ln -sfn "$place" "$DIR/run"
    else
        mkdir -p "$DIR/run"
    fi
    RUN=$place
}

# A socket's name has 107 bytes at most, and haproxy needs some for its temporary names. The database's user must
# reach its socket too.
run_place() {
    if [ ${#DIR} -le 64 ] && database_user_reaches "$DIR"; then
        printf '%s' "$DIR/run"
    elif [ "$(id -u)" -eq 0 ]; then
        printf '%s' "/run/rookery-$INSTANCE_ID"
    elif [ -n "${XDG_RUNTIME_DIR:-}" ] && [ -w "$XDG_RUNTIME_DIR" ] && [ ${#XDG_RUNTIME_DIR} -le 40 ]; then
        printf '%s' "$XDG_RUNTIME_DIR/rookery-$INSTANCE_ID"
    else
        printf '%s' "/tmp/rookery-$(id -u)-$INSTANCE_ID"
    fi
}

# Others may write where this one is made: it must be ours and no link.
make_private_dir() {
    mkdir -p -m 711 "$1"
    [ ! -L "$1" ] && [ -O "$1" ] || die "$1 exists and is not ours" "remove it, or choose another directory:  --dir DIR"
}

# For status, logs and down: where `up` has put the sockets.
instance_find_run() {
    RUN=$DIR/run
    [ ! -L "$RUN" ] || RUN=$(readlink "$RUN")
}

# port_of SERVICE NUMBER: the listening port; the admin port is the next one.
port_of() {
    local first

    case $1 in
    management) first=10 ;;
    signal) first=20 ;;
    relay) first=30 ;;
    stun) first=40 ;;
    dashboard-api) first=50 ;;
    esac
    printf '%s' $((BASE_PORT + first + 2 * ($2 - 1)))
}

# HOST as it stands in a URL.
url_host() {
    case $HOST in
    *:*) printf '[%s]' "$HOST" ;;
    *) printf '%s' "$HOST" ;;
    esac
}

# Addresses that HOST means on this machine; all of them when it is an address the machine does not have (behind NAT).
listen_host() {
    local ip own

    # Not piped into grep -q, here and elsewhere: it leaves at the first hit, and what feeds it then fails with SIGPIPE.
    own=$(ip -o addr show 2>/dev/null) || true
    while read -r ip; do
        if grep -qwF -- "${ip}" <<<"$own" || [[ $ip == 127.* || $ip == ::1 ]]; then
            case $ip in
            *:*) printf '[%s]' "$ip" ;;
            *) printf '%s' "$ip" ;;
            esac
            return
        fi
    done < <(getent ahosts "$HOST" | awk '{ print $1 }' | sort -u)
    printf '0.0.0.0'
}

front_url() {
    if [ "$TLS" = yes ]; then
        printf 'https://%s:%s' "$(url_host)" "$BASE_PORT"
    else
        printf 'http://%s:%s' "$(url_host)" "$BASE_PORT"
    fi
}

# Where browsers and agents sign in. Passwords go over TLS; over loopback they may do without.
public_url() {
    case $HOST in
    127.* | ::1 | localhost) front_url ;;
    *) printf 'https://%s:%s' "$(url_host)" "$BASE_PORT" ;;
    esac
}

relay_url() {
    local scheme=rel

    [ "$TLS" = no ] || scheme=rels
    printf '%s://%s:%s' "$scheme" "$(url_host)" "$(port_of relay "$1")"
}

stun_url() {
    printf 'stun:%s:%s' "$(url_host)" "$(port_of stun "$1")"
}

# each_replica FUNCTION: its output for 1..REPLICAS, with commas between.
each_replica() {
    local i out=

    for ((i = 1; i <= REPLICAS; i++)); do
        out+=${out:+,}$("$1" "$i")
    done
    printf '%s' "$out"
}
