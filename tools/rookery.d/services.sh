# The five services: their configuration files, starting, readiness, rolling restart.

# The ones haproxy forwards to; stun speaks UDP.
FRONTED=(management signal relay dashboard-api)

# Relay and STUN are dialled by agents themselves, the others by haproxy alone.
service_host() {
    case $1 in
    relay | stun) listen_host ;;
    *) printf '127.0.0.1' ;;
    esac
}

service_listen() {
    printf '%s:%d' "$(service_host "$1")" "$(port_of "$1" "$2")"
}

service_admin() {
    printf '127.0.0.1:%d' $(($(port_of "$1" "$2") + 1))
}

service_names() {
    local service i

    for service in "${SERVICES[@]}"; do
        for ((i = 1; i <= REPLICAS; i++)); do
            printf '%s-%d\n' "$service" "$i"
        done
    done
}

# service_config SERVICE NUMBER
service_config() {
    local service=$1

    cat <<EOF
# Written by rookery up.
instance = $service-$2
listen = $(service_listen "$service" "$2")
admin_listen = $(service_admin "$service" "$2")
drain_ms = 3000
EOF
    case $service in
    management | dashboard-api)
        store_settings "$service"
        cat <<EOF
secret_key_file = $DIR/secrets/secret_key
public_url = $(public_url)
oidc_embedded = true
oidc_allow_private_issuers = true
EOF
        ;;
    signal)
        store_settings "$service"
        printf 'trusted_proxies = 127.0.0.0/8\n'
        ;;
    esac
    case $service in
    management)
        cat <<EOF
trusted_proxies = 127.0.0.0/8
signal_url = $(front_url)
relay_urls = $(each_replica relay_url)
stun_urls = $(each_replica stun_url)
relay_secret_file = $DIR/secrets/relay_secret
EOF
        ;;
    relay)
        cat <<EOF
relay_secret_file = $DIR/secrets/relay_secret
exposed_url = $(relay_url "$2")
EOF
        ;;
    dashboard-api) printf 'trusted_proxies = 127.0.0.0/8\nsetup_pat_enabled = true\n' ;;
    esac
    case $service:$TLS in
    management:yes | signal:yes | relay:yes)
        printf 'tls_cert_file = %s\ntls_key_file = %s\n' "${CERT:-$DIR/secrets/front.crt}" "${KEY:-$DIR/secrets/front.key}"
        ;;
    esac
}

services_secrets() {
    [ -f "$DIR/secrets/secret_key" ] || random_base64 32 | keep_secret "$DIR/secrets/secret_key"
    [ -f "$DIR/secrets/relay_secret" ] || random_base64 32 | keep_secret "$DIR/secrets/relay_secret"
}

# It runs, and since it was started a build has replaced its program, or an `up` its settings: this one, or one that did not get as
# far as to restart it.
service_outdated() {
    local pid

    pid=$(process_pid "$1") || return 1
    [ "$DIR/conf/$1.conf" -nt "$DIR/pid/$1" ] || [[ $(readlink "/proc/$pid/exe") == *' (deleted)' ]]
}

service_launch() {
    local name=$1

    process_launch "$name" "$(program "${name%-*}")" --config "$DIR/conf/$name.conf"
}

service_ready() {
    http_ok "http://$(service_admin "${1%-*}" "${1##*-}")/readyz"
}

service_ready_or_died() {
    service_ready "$1" || ! process_runs "$1"
}

service_wait() {
    local name=$1 why

    wait_until 60 service_ready_or_died "$name" || {
        why=$(curl --silent --noproxy '*' --max-time 2 "http://$(service_admin "${name%-*}" "${name##*-}")/readyz" || true)
        process_failed "$name" "$name is not ready after 60 s${why:+: $why}"
    }
    process_runs "$name" || process_failed "$name" "$name does not start"
}

# Ports of what we are about to start must be free, or a stranger's process would answer for ours.
services_check_ports() {
    local name port

    process_runs haproxy || check_ports haproxy "$BASE_PORT" $((BASE_PORT + 1))
    while read -r name; do
        process_runs "$name" && continue
        port=$(port_of "${name%-*}" "${name##*-}")
        if [ "${name%-*}" = stun ]; then
            check_ports "$name" $((port + 1))
        else
            check_ports "$name" "$port" $((port + 1))
        fi
    done < <(service_names)
}

# check_ports NAME PORT...
check_ports() {
    local name=$1 port owner

    shift
    for port in "$@"; do
        port_taken "$port" || continue
        owner=$(port_owner "$port")
        die "port $port, for $name, is taken by another process${owner:+ ($owner)}" \
            "choose other ports:  --base-port P   or stop that process"
    done
}

# Starts the dead all at once; restarts one by one what runs with an old program or old settings, so that another
# replica is always there.
services_start() {
    local name restart=() started=()

    services_secrets
    while read -r name; do
        service_config "${name%-*}" "${name##*-}" | replace_if_changed "$DIR/conf/$name.conf" || true
        ! service_outdated "$name" || restart+=("$name")
    done < <(service_names)
    while read -r name; do
        process_runs "$name" && continue
        service_launch "$name"
        started+=("$name")
    done < <(service_names)
    [ ${#started[@]} -eq 0 ] || note "starting ${started[*]}"
    while read -r name; do
        service_wait "$name"
    done < <(service_names)
    for name in "${restart[@]}"; do
        note "restarting $name: its program or its settings have changed"
        service_restart "$name"
    done
    services_stop_surplus
}

# The next one may only go once haproxy sends work to this one.
service_restart() {
    process_stop TERM 15 "$1"
    service_launch "$1"
    service_wait "$1"
    ! process_runs haproxy || wait_until 10 front_sees_up "$1" ||
        process_failed haproxy "haproxy does not see that $1 is ready"
}

# Replicas beyond the number now asked for.
services_stop_surplus() {
    local name surplus=()

    while read -r name; do
        case $name in
        postgres | redis | haproxy) ;;
        *) [ "${name##*-}" -le "$REPLICAS" ] || surplus+=("$name") ;;
        esac
    done < <(process_names)
    [ ${#surplus[@]} -eq 0 ] || {
        note "stopping ${surplus[*]}"
        process_stop TERM 15 "${surplus[@]}"
    }
}

services_stop() {
    local name all=()

    while read -r name; do
        case $name in
        postgres | redis | haproxy) ;;
        *) all+=("$name") ;;
        esac
    done < <(process_names)
    [ ${#all[@]} -eq 0 ] || process_stop TERM 15 "${all[@]}"
}
