# The commands that are about a running instance: up, down, status, doctor, logs.

# parse_instance COMMAND ARGS...: opens the instance, then applies the options that COMMAND takes.
parse_instance() {
    local command=$1 args=("${@:2}") i dir="$ROOT/.rookery"

    for ((i = 0; i < ${#args[@]}; i++)); do
        case ${args[i]} in
        --dir) dir=${args[i + 1]:-} ;;
        --dir=*) dir=${args[i]#*=} ;;
        esac
    done
    [ -n "$dir" ] || die "--dir needs a directory"
    instance_open "$dir"
    WIPE=no JSON=no FOLLOW=no NAMES=() ASKED=()
    set -- "${args[@]}"
    while [ $# -gt 0 ]; do
        case $1 in
        --*=*)
            i=$1
            shift
            set -- "${i%%=*}" "${i#*=}" "$@"
            ;;
        esac
        case $command:$1 in
        *:--dir) option_value "$@" ;;
        up:--replicas) option_value "$@" && REPLICAS=$2 ;;
        up:--base-port) option_value "$@" && ASKED+=("$1" "$BASE_PORT" "$2") BASE_PORT=$2 ;;
        up:--host) option_value "$@" && ASKED+=("$1" "$HOST" "$2") HOST=$2 ;;
        up:--stores) option_value "$@" && i=$(realpath -- "$2") && ASKED+=("$1" "$STORES" "$i") STORES=$i ;;
        up:--tls) ASKED+=("$1" "$TLS" yes) TLS=yes ;;
        up:--cert) option_value "$@" && i=$(realpath -s -- "$2") && ASKED+=("$1" "$CERT" "$i") CERT=$i TLS=yes ;;
        up:--key) option_value "$@" && i=$(realpath -s -- "$2") && ASKED+=("$1" "$KEY" "$i") KEY=$i ;;
        down:--wipe) WIPE=yes ;;
        status:--json | doctor:--json) JSON=yes ;;
        logs:-f) FOLLOW=yes ;;
        logs:[a-z]*) NAMES+=("$1") ;;
        *) die "rookery $command does not know '$1'" "see: rookery help" ;;
        esac
        case $1 in
        --dir | --replicas | --base-port | --host | --cert | --key | --stores) shift 2 ;;
        *) shift ;;
        esac
    done
}

option_value() {
    [ $# -ge 2 ] && [ -n "$2" ] || die "$1 needs a value" "see: rookery help"
}

check_options() {
    local i

    [[ $REPLICAS =~ ^[1-5]$ ]] || die "--replicas is a number from 1 to $MAX_REPLICAS, not '$REPLICAS'"
    [[ $BASE_PORT =~ ^[0-9]{1,5}$ ]] && { [ "$BASE_PORT" -ge 1024 ] || [ "$BASE_PORT" -eq 443 ]; } && [ "$BASE_PORT" -le 65000 ] ||
        die "--base-port is 443 or a number from 1024 to 65000, not '$BASE_PORT'"
    [ -z "$CERT$KEY" ] || { [ -r "$CERT" ] && [ -r "$KEY" ]; } || die "--cert and --key are two files that can be read, not '$CERT' and '$KEY'"
    [ -z "$STORES" ] || [ -r "$STORES" ] || die "--stores is a file that can be read, not '$STORES'"
    [[ $HOST =~ ^[A-Za-z0-9.:_-]+$ ]] || die "--host is an address or a name, not '$HOST'"
    process_runs haproxy || return 0
    for ((i = 0; i < ${#ASKED[@]}; i += 3)); do
        [ "${ASKED[i + 1]}" = "${ASKED[i + 2]}" ] || die \
            "this instance runs with ${ASKED[i]} ${ASKED[i + 1]}, which cannot change while it runs" \
            "stop it first:  $ROOT/rookery down --dir $DIR"
    done
}

cmd_up() {
    parse_instance up "$@"
    check_options
    need_packages build up
    [ "$(listen_host)" != 0.0.0.0 ] ||
        note "$HOST is not an address of this machine: haproxy, relay and stun listen on all of its addresses"
    instance_claim
    instance_lock
    services_check_ports
    need_space "$ROOT" 200 "a build"
    build_services
    need_space "$DIR" 200 "a database"
    instance_make_dirs
    instance_save
    if [ -n "$CERT" ]; then
        tls_take
    else
        tls_prepare "$(tls_alt_names)"
    fi
    front_private
    stores_start
    services_start
    front_start
    front_wait
    API_URL=http://127.0.0.1:$BASE_PORT API_OPTIONS=()
    API_ADVICE=("see:  $ROOT/rookery logs --dir $DIR dashboard-api-1"
        "or start afresh:  $ROOT/rookery down --wipe --dir $DIR")
    bootstrap
    print_facts
}

print_facts() {
    cat <<EOF

Rookery is up: $REPLICAS replicas of each service behind $(front_url)

  Management URL  $(front_url)
  API URL         $(front_url)/api
  API token       $(cat "$DIR/secrets/token")
  Issuer          $(public_url)/oauth2
  Sign-in page    $(public_url)/oauth2/device  as $OWNER_EMAIL, the password is in $DIR/secrets/owner_password
  Setup key       $(cat "$DIR/secrets/setup_key")
EOF
    if [ -n "$CERT" ]; then
        cat <<EOF

An agent joins with:

  netbird up --management-url $(front_url) --setup-key $(cat "$DIR/secrets/setup_key")
EOF
    elif [ "$TLS" = yes ]; then
        cat <<EOF
  CA certificate  $DIR/ca.pem

An agent joins with (it must trust the CA certificate):

  SSL_CERT_FILE=$DIR/ca.pem netbird up --management-url $(front_url) --setup-key $(cat "$DIR/secrets/setup_key")
EOF
    else
        cat <<EOF

An agent joins with:

  netbird up --management-url $(front_url) --setup-key $(cat "$DIR/secrets/setup_key")

The same port speaks TLS: https://$(url_host):$BASE_PORT, its CA certificate is $DIR/ca.pem
EOF
    fi
}

cmd_down() {
    parse_instance down "$@"
    [ -d "$DIR" ] || die "there is no instance in $DIR" "name another:  --dir DIR"
    [ -e "$DIR/.lock" ] || instance_exists || die "$DIR is no instance's directory" "name another:  --dir DIR"
    instance_lock
    instance_find_run
    process_stop TERM 5 haproxy
    services_stop
    stores_stop
    if [ "$WIPE" = yes ]; then
        stores_wipe
        [ "$RUN" = "$DIR/run" ] || rm -rf "${RUN:?}"
        rm -rf "${DIR:?}"
        say "stopped, and $DIR removed"
    else
        say "stopped; the data stays in $DIR"
    fi
}

# process_rows: name, pid, listen address, admin address, tab separated; pid 0 for what does not run.
process_rows() {
    local name listen admin

    {
        [ -n "$STORES" ] || printf 'postgres\nredis\n'
        printf 'haproxy\n'
        service_names
        process_names
    } | awk '!seen[$0]++' | while read -r name; do
        case $name in
        postgres) listen=$RUN/pg admin= ;;
        redis) listen=$RUN/redis.sock admin= ;;
        haproxy) listen=$(listen_host):$BASE_PORT admin=127.0.0.1:$((BASE_PORT + 1)) ;;
        *) listen=$(service_listen "${name%-*}" "${name##*-}") admin=$(service_admin "${name%-*}" "${name##*-}") ;;
        esac
        printf '%s\t%s\t%s\t%s\n' "$name" "$(process_pid "$name" || printf 0)" "$listen" "$admin"
    done
}

secret_or_empty() {
    cat "$DIR/secrets/$1" 2>/dev/null || true
}

status_json() {
    local name pid listen admin comma=

    printf '{"front_url":%s,"management_url":%s,"api_url":%s,"signal_url":%s,' "$(json_string "$(front_url)")" \
        "$(json_string "$(front_url)")" "$(json_string "$(front_url)")" "$(json_string "$(front_url)")"
    printf '"relay_urls":["%s"],"stun_urls":["%s"],' "$(each_replica relay_url | sed 's/,/","/g')" \
        "$(each_replica stun_url | sed 's/,/","/g')"
    printf '"issuer":%s,"owner_email":%s,"owner_password":%s,' "$(json_string "$(public_url)/oauth2")" \
        "$(json_string "$OWNER_EMAIL")" "$(json_string "$(secret_or_empty owner_password)")"
    printf '"token":%s,"setup_key":%s,"ca_file":%s,' "$(json_string "$(secret_or_empty token)")" \
        "$(json_string "$(secret_or_empty setup_key)")" "$(json_string "$DIR/ca.pem")"
    printf '"postgres":%s,"redis":%s,"dir":%s,"haproxy_socket":%s,"processes":[' \
        "$(json_string "$(postgres_conninfo)")" "$(json_string "$(redis_uri)")" "$(json_string "$DIR")" \
        "$(json_string "$RUN/haproxy.sock")"
    while IFS=$'\t' read -r name pid listen admin; do
        printf '%s{"name":%s,"pid":%s,"listen":%s,"admin":%s}' "$comma" "$(json_string "$name")" "$pid" \
            "$(json_string "$listen")" "$(json_string "$admin")"
        comma=,
    done < <(process_rows)
    printf ']}\n'
}

status_text() {
    local name pid listen admin state

    printf '%-16s %-8s %-16s %-17s %s\n' NAME PID STATE ADMIN LISTEN
    while IFS=$'\t' read -r name pid listen admin; do
        state=running
        case $name in
        postgres | redis) ;;
        haproxy) http_ok "http://$admin/livez" || state='not answering' ;;
        *) service_ready "$name" || state='not ready' ;;
        esac
        [ "$pid" != 0 ] || state='not running'
        printf '%-16s %-8s %-16s %-17s %s\n' "$name" "${pid/#0/-}" "$state" "${admin:--}" "$listen"
    done < <(process_rows)
}

cmd_status() {
    parse_instance status "$@"
    instance_exists || die "there is no instance in $DIR" "start one:  $ROOT/rookery up --dir $DIR"
    instance_find_run
    if [ "$JSON" = yes ]; then
        status_json
    else
        status_text
    fi
}

# rookery-doctor on everything of this instance.
cmd_doctor() {
    local name pid listen admin options=()

    parse_instance doctor "$@"
    instance_exists || die "there is no instance in $DIR" "start one:  $ROOT/rookery up --dir $DIR"
    instance_find_run
    [ -x "$(program doctor)" ] || build_preset "$PRESET" rookery-doctor
    while IFS=$'\t' read -r name pid listen admin; do
        case $name in
        postgres | redis | haproxy) ;;
        *) options+=(--admin "http://$admin") ;;
        esac
    done < <(process_rows)
    [ "$JSON" = no ] || options+=(--json)
    exec "$(program doctor)" --config "$DIR/conf/management-1.conf" --management "$(front_url)" --ca "$DIR/ca.pem" \
        "${options[@]}"
}

cmd_logs() {
    local name files=() options=(-n 50)

    parse_instance logs "$@"
    instance_exists || die "there is no instance in $DIR" "start one:  $ROOT/rookery up --dir $DIR"
    for name in "${NAMES[@]}"; do
        [ -f "$DIR/log/$name.log" ] || die "there is no log of '$name'" \
            "there are: $(cd "$DIR/log" && printf '%s ' *.log | sed 's/\.log//g')"
        files+=("$DIR/log/$name.log")
    done
    [ ${#files[@]} -gt 0 ] || files=("$DIR"/log/*.log)
    [ "$FOLLOW" = no ] || options+=(-F)
    exec tail "${options[@]}" -- "${files[@]}"
}
