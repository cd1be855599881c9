# The owner, the owner's API token and a reusable setup key, made once.

OWNER_EMAIL=owner@rookery.test

# api METHOD PATH BODY: the answer's body; its status must be 200. Whoever says that it is to be asked again, as a service whose
# Postgres has just started may, is asked again for a while. API_URL is the front, API_OPTIONS what curl needs besides.
api() {
    local method=$1 path=$2 body=$3 answer status headers=() until

    # The token goes through a file: arguments are visible to every user.
    if [ -f "$DIR/secrets/token" ]; then
        (umask 077 && printf 'Authorization: Token %s\n' "$(cat "$DIR/secrets/token")" >"$DIR/secrets/.header")
        headers=(--header "@$DIR/secrets/.header")
    fi
    until=$(($(now_ms) + 30000))
    while :; do
        answer=$(printf '%s' "$body" | curl --silent --noproxy '*' --max-time 30 --request "$method" --data-binary @- \
            --header 'Content-Type: application/json' "${headers[@]}" "${API_OPTIONS[@]}" --write-out '\n%{http_code}' \
            "$API_URL$path") || true
        status=${answer##*$'\n'}
        [ "$status" = 503 ] && [ "$(now_ms)" -lt "$until" ] || break
        sleep 0.2
    done
    rm -f "$DIR/secrets/.header"
    [ "$status" = 200 ] || die "$method $path answered $status: ${answer%$'\n'*}" \
        "${API_ADVICE[@]}"
    printf '%s' "${answer%$'\n'*}"
}

bootstrap() {
    local answer

    if [ ! -f "$DIR/secrets/token" ]; then
        note "creating the owner and the API token"
        [ -f "$DIR/secrets/owner_password" ] || printf "%s-A1" "$(random_base64 18)" | keep_secret "$DIR/secrets/owner_password"
        answer=$(api POST /api/setup "$(printf '{"email":%s,"password":%s,"name":"Owner","create_pat":true,"pat_expire_in":365}' \
            "$(json_string "$OWNER_EMAIL")" "$(json_string "$(cat "$DIR/secrets/owner_password")")")")
        json_field personal_access_token <<<"$answer" | tr -d '\n' | keep_secret "$DIR/secrets/token"
        [ -s "$DIR/secrets/token" ] || { rm -f "$DIR/secrets/token"; die "POST /api/setup gave no token"; }
    fi
    if [ ! -f "$DIR/secrets/setup_key" ]; then
        answer=$(api POST /api/setup-keys \
            '{"name":"rookery up","type":"reusable","expires_in":0,"auto_groups":[],"usage_limit":0}')
        json_field key <<<"$answer" | tr -d '\n' | keep_secret "$DIR/secrets/setup_key"
        [ -s "$DIR/secrets/setup_key" ] || { rm -f "$DIR/secrets/setup_key"; die "POST /api/setup-keys gave no key"; }
    fi
}
