# compose/compose.yaml with all that it needs: settings, secrets, a certificate, haproxy's configuration, the owner.
# A second `up` replaces, one after the other, the containers whose image or settings have changed; compose itself would stop
# them all before it starts any.
#
#   compose/.env    what the operator sets (another: --env FILE)
#   STATE/secrets   keys, passwords, the token and the setup key
#   STATE/conf      what haproxy reads: its configuration, its certificate, an answer for when nobody is there
#   STATE/redis     what Redis reads

COMPOSE_REPLICAS=2
COMPOSE_SETTINGS=(DOMAIN TLS_CERT TLS_KEY COMPOSE_PROFILES POSTGRES OIDC_EMBEDDED STATE ROOKERY_IMAGES ROOKERY_VERSION)

compose_find() {
    local profile

    ENGINE=$(container_engine)
    if [ "$ENGINE" = docker ]; then
        COMPOSE=(docker compose)
    elif command -v podman-compose >/dev/null; then
        COMPOSE=(podman-compose)
    else
        die "podman-compose is missing" "install it:  pipx install podman-compose"
    fi
    # podman-compose does not look for COMPOSE_PROFILES.
    for profile in ${COMPOSE_PROFILES//,/ }; do
        COMPOSE+=(--profile "$profile")
    done
}

# Each container has its name from compose.yaml.
compose_container() {
    printf 'rookery-%s' "$1"
}

# What containers leave running must not hold the lock.
compose_run() {
    (cd "$ROOT/compose" && STATE=$DIR "${COMPOSE[@]}" --env-file "$COMPOSE_ENV" "$@") >"$DIR/compose.log" 2>&1 9>&- || {
        tail -n 20 "$DIR/compose.log" >&2
        die "${COMPOSE[*]} $1 failed" "all it said is in $DIR/compose.log"
    }
}

# compose_open ENV: sets DIR and the settings that this script looks at too; the environment wins, as it does in compose.
compose_open() {
    local key value

    COMPOSE_ENV=$(realpath -m -- "$1")
    [ -f "$COMPOSE_ENV" ] || return 1
    while IFS='=' read -r key value; do
        if grep -qx -- "$key" <<<"$(printf '%s\n' "${COMPOSE_SETTINGS[@]}")" && [ -z "${!key:-}" ]; then
            printf -v "$key" '%s' "$value"
        fi
    done <"$COMPOSE_ENV"
    [ -z "${TLS_CERT:-}" ] || { [ -r "$TLS_CERT" ] && [ -r "${TLS_KEY:-}" ]; } ||
        die "TLS_CERT or TLS_KEY cannot be read" "both are set in $COMPOSE_ENV"
    # What is put behind one, as the password is, would be part of its last parameter: of the database's name, which is logged.
    [[ ${POSTGRES:-} != postgres*://* ]] || die "POSTGRES in $COMPOSE_ENV is a URI" \
        "say it in libpq's other form, without the password:  POSTGRES=host=db.example.com dbname=rookery user=rookery"
    [[ ${DOMAIN:-} =~ ^[a-z0-9.-]+$ ]] || die "DOMAIN in $COMPOSE_ENV is no name: '${DOMAIN:-}'"
    DIR=$(realpath -m -- "$ROOT/compose/${STATE:-state}")
    [[ ${STATE:-} != /* ]] || DIR=$STATE
    IMAGE_PREFIX=${ROOKERY_IMAGES:-localhost} IMAGE_TAG=${ROOKERY_VERSION:-latest}
    FRONT_PLACE=compose FRONT_DIR=/etc/rookery FRONT_SOCKET=/tmp/haproxy.sock FRONT_ADMIN=127.0.0.1:8404
    FRONT_REPLICAS=$COMPOSE_REPLICAS FRONT_TLS='' FRONT_RELAY_DOMAIN=$DOMAIN
    # A container that was replaced has another address.
    FRONT_SERVER='resolvers names resolve-prefer ipv4 init-addr last,libc,none'
    REPLICAS=$COMPOSE_REPLICAS
}

front_at_compose() {
    local port

    case $1 in
    management) port=8081 ;;
    signal) port=8082 ;;
    relay) port=8083 ;;
    dashboard-api) port=8085 ;;
    esac
    printf '%s-%d:%d' "$1" "$2" "$port"
}

front_check_compose() {
    printf 'check port 9090'
}

front_entry_compose() {
    cat <<'END'
resolvers names
    parse-resolv-conf
    resolve_retries 3
    timeout resolve 1s
    timeout retry 1s
    hold valid 1s

frontend web
    mode http
    bind :8443 tcp-ut 30s ssl crt /etc/rookery/front.pem alpn h2,http/1.1
END
}

# compose_make FILE: keeps what is there, else makes a secret.
compose_make() {
    [ -f "$DIR/secrets/$1" ] || random_base64 32 | keep_secret "$DIR/secrets/$1"
}

# compose_conninfo PASSWORD: POSTGRES with the password, quoted as libpq wants it.
compose_conninfo() {
    local quoted=${1//\\/\\\\}

    quoted=${quoted//\'/\\\'}
    printf "%s password='%s'" "${POSTGRES:-host=postgres dbname=rookery user=rookery}" "$quoted"
}

# Containers have users of their own, who have to read these: the files are open, the directory above them is closed.
compose_secrets() {
    local name

    chmod 700 "$DIR"
    mkdir -p "$DIR/conf" "$DIR/redis" "$DIR/secrets"
    services_secrets
    for name in postgres_password redis_password grafana_password; do
        compose_make "$name"
    done
    compose_conninfo "$(cat "$DIR/secrets/postgres_password")" | keep_secret "$DIR/secrets/postgres"
    printf "bind 0.0.0.0\nprotected-mode no\nsave ''\nappendonly no\nhz 2\nrequirepass %s\n" "$(cat "$DIR/secrets/redis_password")" |
        keep_secret "$DIR/redis/redis.conf"
    chmod 755 "$DIR/conf" "$DIR/redis" "$DIR/secrets"
    chmod 644 "$DIR/redis/redis.conf" "$DIR"/secrets/{secret_key,relay_secret,postgres,postgres_password,redis_password,grafana_password}
}

# A test authority's certificate, unless the operator has one.
compose_certificate() {
    if [ -n "${TLS_CERT:-}" ]; then
        cat "$TLS_CERT" "$TLS_KEY"
        printf 'the operator'\''s' >"$DIR/secrets/front.names"
    else
        tls_prepare "DNS:$DOMAIN,DNS:relay-1.$DOMAIN,DNS:relay-2.$DOMAIN"
        cat "$DIR/secrets/front.pem"
    fi
}

# 0 when haproxy has to read something anew.
compose_front() {
    local changed=1

    compose_certificate | replace_if_changed "$DIR/conf/front.pem" && changed=0
    FRONT_ADMIN=:8404 front_config | replace_if_changed "$DIR/conf/haproxy.cfg" && changed=0
    front_error_file >"$DIR/conf/503.http"
    chmod 644 "$DIR"/conf/*
    return $changed
}

# Everything compose.yaml starts that is ours, in the order in which it is replaced: what the others stand on comes last.
compose_names() {
    local service i

    for service in "${SERVICES[@]}"; do
        for ((i = 1; i <= COMPOSE_REPLICAS; i++)); do
            printf '%s-%d\n' "$service" "$i"
        done
    done
    printf 'haproxy\nredis\npostgres\nprometheus\ngrafana\n'
}

compose_exists() {
    "$ENGINE" container inspect "$(compose_container "$1")" >/dev/null 2>&1
}

# The container was made from another image than its name stands for now.
compose_outdated() {
    local image=$1

    case $1 in
    *-[0-9]) image=${1%-*} ;;
    prometheus | grafana) return 1 ;;
    esac
    [ "$("$ENGINE" container inspect --format '{{.Image}}' "$(compose_container "$1")")" != \
        "$("$ENGINE" image inspect --format '{{.Id}}' "$(image_name "$image")")" ]
}

compose_ready() {
    case $1 in
    haproxy) http_ok "http://$FRONT_ADMIN/livez" ;;
    redis | postgres | prometheus | grafana) [ "$("$ENGINE" container inspect --format '{{.State.Running}}' "$(compose_container "$1")")" = true ] ;;
    *) "$ENGINE" exec "$(compose_container "$1")" /rookery --ready >/dev/null 2>&1 && front_sees_up "$1" ;;
    esac
}

# compose_replace NAME: drained, removed, started anew, and waited for.
compose_replace() {
    local container

    container=$(compose_container "$1")
    note "replacing $1"
    "$ENGINE" stop -t 30 "$container" >/dev/null
    "$ENGINE" rm "$container" >/dev/null
    compose_run up -d --no-deps --no-recreate "$1"
    wait_until 60 compose_ready "$1" || die "$1 is not ready" "see:  $ENGINE logs $container"
}

# What `up` compares to know that settings have changed; images are compared themselves.
compose_settings() {
    (cd "$ROOT/compose" && STATE=$DIR "${COMPOSE[@]}" --env-file "$COMPOSE_ENV" config 2>/dev/null | grep -v '^ *image:')
}

# Of what the services read once, when they start.
compose_secret_sums() {
    (cd "$DIR/secrets" && sha256sum secret_key relay_secret postgres redis_password)
}

# compose_wanted NAME: stores stdin beside what the containers were started with; 0 when that is something else.
compose_wanted() {
    (umask 077 && cat >"$DIR/$1.wanted")
    ! cmp -s "$DIR/$1.wanted" "$DIR/$1"
}

# What was wanted counts as done once it is: an `up` that ends halfway leaves the whole of it to the next one.
compose_start() {
    local name changed=no secrets=no

    compose_settings | compose_wanted settings && changed=yes
    compose_secret_sums | compose_wanted secrets.sums && secrets=yes
    while read -r name; do
        if compose_exists "$name" && { [ "$changed" = yes ] || compose_outdated "$name" || [[ $secrets:$name = yes:*-[0-9] ]]; }; then
            compose_replace "$name"
        fi
    done < <(compose_names)
    note "starting what does not run"
    compose_run up -d --no-recreate
    for name in settings secrets.sums; do
        mv -f "$DIR/$name.wanted" "$DIR/$name"
    done
}

# Images that are not there yet; whoever has them in a registry pulls them first.
compose_images() {
    local name missing=()

    for name in "${IMAGES[@]}"; do
        "$ENGINE" image inspect "$(image_name "$name")" >/dev/null 2>&1 || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] || cmd_images "${missing[@]}"
}

# The owner and a setup key; with an external provider whoever signs in first is the owner.
compose_bootstrap() {
    [ "${OIDC_EMBEDDED:-true}" = true ] || return 0
    API_URL=https://$DOMAIN API_OPTIONS=(--resolve "$DOMAIN:443:127.0.0.1")
    [ -n "${TLS_CERT:-}" ] || API_OPTIONS+=(--cacert "$DIR/ca.pem")
    API_ADVICE=("see:  $ENGINE logs rookery-dashboard-api-1")
    bootstrap
}

compose_facts() {
    local key=''

    [ ! -f "$DIR/secrets/setup_key" ] || key=$(cat "$DIR/secrets/setup_key")
    cat <<END

Rookery is up at https://$DOMAIN

  Management URL  https://$DOMAIN
  API URL         https://$DOMAIN/api
END
    [ ! -f "$DIR/secrets/token" ] || cat <<END
  API token       in $DIR/secrets/token
  Sign-in         as $OWNER_EMAIL, the password is in $DIR/secrets/owner_password
  Setup key       in $DIR/secrets/setup_key

An agent joins with:

  netbird up --management-url https://$DOMAIN${key:+ --setup-key $key}
END
    [ -n "${TLS_CERT:-}" ] || cat <<END

The certificate is from a test authority: agents need $DIR/ca.pem (SSL_CERT_FILE), or set TLS_CERT and TLS_KEY in $COMPOSE_ENV.
END
}

compose_up() {
    local env=$1 domain=$2

    if ! compose_open "$env"; then
        [ -n "$domain" ] || die "there is no $env yet" "say under which name agents reach this machine:  --domain mesh.example.com"
        sed "s/^DOMAIN=.*/DOMAIN=$domain/" "$ROOT/compose/env.example" >"$env"
        compose_open "$env"
    fi
    [ -z "$domain" ] || [ "$domain" = "$DOMAIN" ] || die "$COMPOSE_ENV says DOMAIN=$DOMAIN" "change it there"
    compose_find
    # Passwords of stores elsewhere are there before anything of ours is.
    [ "$(ls -A "$DIR" 2>/dev/null)" = secrets ] || instance_claim
    instance_lock
    compose_images
    compose_secrets
    if compose_front && compose_exists haproxy; then
        note "haproxy reads its configuration anew"
        "$ENGINE" kill --signal USR2 "$(compose_container haproxy)" >/dev/null
    fi
    compose_start
    wait_until 60 front_knows || {
        front_state >&2
        die "haproxy does not see every replica as ready" "see:  $ENGINE ps --all"
    }
    compose_bootstrap
    compose_facts
}

compose_down() {
    compose_open "$1" || die "there is no $1" "nothing was started from it"
    compose_find
    [ -d "$DIR" ] || die "there is no $DIR" "nothing was started with it"
    instance_lock
    if [ "$2" = yes ]; then
        compose_run down -t 30 --volumes
        rm -rf "${DIR:?}"
        say "stopped, and $DIR and the database removed"
    else
        compose_run down -t 30
        say "stopped; the data stays"
    fi
}

cmd_compose() {
    local command=${1:-} env=$ROOT/compose/.env domain='' wipe=no

    [ $# -eq 0 ] || shift
    while [ $# -gt 0 ]; do
        case $command:$1 in
        *:--env) option_value "$@" && env=$2 && shift ;;
        up:--domain) option_value "$@" && domain=$2 && shift ;;
        down:--wipe) wipe=yes ;;
        *) die "rookery compose $command does not know '$1'" "see: rookery help" ;;
        esac
        shift
    done
    case $command in
    up) compose_up "$env" "$domain" ;;
    down) compose_down "$env" "$wipe" ;;
    *) die "say:  rookery compose up --domain mesh.example.com" "or:   rookery compose down [--wipe]" ;;
    esac
}
