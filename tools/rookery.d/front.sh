# haproxy in front of all replicas: HTTP/2, HTTP/1.1 and TLS on one port. docs/operations.md explains each choice; whoever
# runs another proxy finds there what it must do.
#
# What it looks like depends on its place: beside the processes of the private instance, or among containers (compose.sh).
#   FRONT_DIR           directory of 503.http
#   FRONT_SOCKET        where an administrator asks and tells it
#   FRONT_ADMIN         address of its own page and metrics
#   FRONT_REPLICAS      servers in each backend
#   FRONT_SERVER        what each server has besides
#   FRONT_TLS           what management, signal and relays have besides where they end TLS themselves
#   FRONT_RELAY_DOMAIN  relays are reached here by names of their own, relay-N.DOMAIN, if this is not empty
#   front_at_PLACE      SERVICE NUMBER: a replica's address
#   front_check_PLACE   SERVICE NUMBER: how its health is asked
#   front_entry_PLACE   everything up to the lines that bind the port in frontend web
front_private() {
    FRONT_PLACE=private FRONT_DIR=$DIR/conf FRONT_SOCKET=$RUN/haproxy.sock FRONT_ADMIN=127.0.0.1:$((BASE_PORT + 1))
    # Every possible replica is in the configuration; those that do not run are down by their health check. So the number
    # of replicas changes without touching the front.
    FRONT_REPLICAS=$MAX_REPLICAS FRONT_SERVER='' FRONT_TLS='' FRONT_RELAY_DOMAIN=''
    [ "$TLS" = no ] || FRONT_TLS="ssl verify required ca-file $DIR/ca.pem"
}

front_at_private() {
    printf '%s:%d' "$(service_host "$1")" "$(port_of "$1" "$2")"
}

front_check_private() {
    printf 'check port %d addr 127.0.0.1' $(($(port_of "$1" "$2") + 1))
}

# Cleartext and TLS on one port: the first byte tells them apart.
front_entry_private() {
    cat <<EOF
frontend front
    mode tcp
$(front_binds)
    tcp-request inspect-delay 10s
    tcp-request content accept if { req.len gt 0 }
    tcp-request content reject
    # 22 is the first byte of a TLS handshake, and of no HTTP request.
    use_backend to-tls if { req.payload(0,1),hex -m str 16 }
    default_backend to-clear

backend to-clear
    mode tcp
    server clear unix@$RUN/front-clear.sock send-proxy-v2

backend to-tls
    mode tcp
    server tls unix@$RUN/front-tls.sock send-proxy-v2

frontend web
    mode http
    bind unix@$RUN/front-clear.sock mode 600 accept-proxy
    bind unix@$RUN/front-tls.sock mode 600 accept-proxy ssl crt $DIR/secrets/front.pem alpn h2,http/1.1
EOF
}

# front_servers SERVICE OPTIONS
front_servers() {
    local i

    for ((i = 1; i <= FRONT_REPLICAS; i++)); do
        printf '    server %s-%d %s %s\n' "$1" "$i" "$("front_at_$FRONT_PLACE" "$1" "$i")" \
            "$("front_check_$FRONT_PLACE" "$1" "$i")${FRONT_SERVER:+ $FRONT_SERVER}${2:+ $2}"
    done
}

# front_again SERVICE NUMBER SUFFIX OPTIONS: a replica in a second backend; its health is as the first one finds it.
front_again() {
    printf '    server %s-%d-%s %s track %s/%s-%d%s\n' "$1" "$2" "$3" "$("front_at_$FRONT_PLACE" "$1" "$2")" "$1" "$1" "$2" \
        "${FRONT_SERVER:+ $FRONT_SERVER}${4:+ $4}"
}

front_grpc_backend() {
    local service=$1 retry_paths=$2

    cat <<EOF

backend $service
    mode http
    balance leastconn
    # A call that met a dying replica is repeated on another where repeating is harmless; else the agent decides.
    # An agent's streams get a connection of their own: among streams that share one, haproxy lets the agent that does not
    # read hold up all the others.
    http-reuse never
    # Whoever goes is gone at once: a Sync stream is half-closed, and would be kept until it is written to.
    option abortonclose
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless { path $retry_paths }
    # With no replica at all haproxy answers 503, which gRPC reads as UNAVAILABLE: the agent comes back.
    default-server on-marked-down shutdown-sessions
$(front_servers "$service" "proto h2 check-proto h1${FRONT_TLS:+ $FRONT_TLS alpn h2}")
EOF
}

# The same replicas for agents in browsers: an upgrade needs HTTP/1.1.
front_tunnel_backend() {
    local service=$1 i

    cat <<EOF

backend $service-websocket
    mode http
    balance leastconn
    option http-server-close
    default-server on-marked-down shutdown-sessions
EOF
    for ((i = 1; i <= FRONT_REPLICAS; i++)); do
        front_again "$service" "$i" websocket "$FRONT_TLS"
    done
}

# Agents ask for the relay that their peer is on by its name; those who were told its address by that peer say the address, and
# the name in the TLS handshake alone.
front_relay_rules() {
    local i name

    [ -n "$FRONT_RELAY_DOMAIN" ] || return 0
    for ((i = 1; i <= FRONT_REPLICAS; i++)); do
        name=relay-$i.$FRONT_RELAY_DOMAIN
        printf '    use_backend relay-%d if { path /relay } { %s -i %s }\n' "$i" ssl_fc_sni "$name" "$i" 'req.hdr(host),field(1,:)' "$name"
    done
}

front_relay_backends() {
    local i

    [ -n "$FRONT_RELAY_DOMAIN" ] || return 0
    for ((i = 1; i <= FRONT_REPLICAS; i++)); do
        printf '\nbackend relay-%d\n    mode http\n    option http-server-close\n    default-server on-marked-down shutdown-sessions\n' "$i"
        front_again relay "$i" named "$FRONT_TLS"
    done
}

front_config() {
    cat <<EOF
# Written by rookery. Certificate for: $(cat "$DIR/secrets/front.names")
global
    log stderr format raw daemon notice
    stats socket $FRONT_SOCKET mode 600 level admin
    stats timeout 1h
    ssl-default-bind-options ssl-min-ver TLSv1.2
    tune.h2.max-concurrent-streams 1000
    spread-checks 0

defaults
    log global
    mode http
    timeout connect 1s
    timeout http-request 10s
    timeout http-keep-alive 5m
    # A silent stream is the normal state of an agent. What is dead is found by TCP keepalive and by health checks.
    timeout client 25h
    timeout server 25h
    timeout tunnel 25h
    timeout check 5s
    option clitcpka
    clitcpka-idle 30s
    clitcpka-intvl 10s
    clitcpka-cnt 3
    option redispatch 1
    retries 6
    http-reuse safe
    # A replica that answers but is not ready (draining, a dependency lost) gets no new work and keeps its streams.
    # One that does not answer is down; agents' streams to it end at once (shutdown-sessions).
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost
    http-check expect error-status L7OKC status 200
    default-server inter 300ms fastinter 100ms downinter 300ms fall 1 rise 1 observe layer4 error-limit 1 on-error fastinter
    errorfile 503 $FRONT_DIR/503.http

$("front_entry_$FRONT_PLACE")
    # Agents' gRPC offers h2 alone, their relay WebSocket offers nothing and gets HTTP/1.1.
    # What came from outside is a claim; services believe only what is said here.
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https if { ssl_fc }
    http-request set-header X-Forwarded-Proto http unless { ssl_fc }
    http-request set-header X-Real-Ip %[src]
    http-request set-header X-Real-Port %[src_port]
    http-request del-header Forwarded
    use_backend signal if { path_beg /signalexchange.SignalExchange/ }
    use_backend management if { path_beg /management.ManagementService/ /management.ProxyService/ }
$(front_relay_rules)
    use_backend relay if { path /relay }
    use_backend signal-websocket if { path /ws-proxy/signal }
    use_backend management-websocket if { path /ws-proxy/management }
    default_backend dashboard-api
$(front_grpc_backend signal "/signalexchange.SignalExchange/ConnectStream /signalexchange.SignalExchange/Send")
$(front_grpc_backend management "/management.ManagementService/GetServerKey /management.ManagementService/isHealthy /management.ManagementService/Sync")
$(front_tunnel_backend signal)
$(front_tunnel_backend management)

backend relay
    mode http
    balance leastconn
    # An agent's WebSocket library wants a plain HTTP/1.1 upgrade.
    option http-server-close
    default-server on-marked-down shutdown-sessions
$(front_servers relay "$FRONT_TLS")
$(front_relay_backends)

backend dashboard-api
    mode http
    balance leastconn
    # What a dying replica leaves unanswered is asked again of another where asking twice does no more than once; so requests
    # are not ended with it (no shutdown-sessions), and one that hangs is given up by the clock.
    timeout server 20s
    retry-on conn-failure empty-response response-timeout
    http-request disable-l7-retry unless { method GET HEAD OPTIONS PUT }
$(front_servers dashboard-api '')

frontend admin
    bind $FRONT_ADMIN
    monitor-uri /livez
    http-request use-service prometheus-exporter if { path /metrics }
    stats enable
    stats uri /
    stats refresh 5s
EOF
}

# The address given to agents, and loopback, where the script itself asks.
front_binds() {
    local host

    host=$(listen_host)
    printf '    bind %s:%d tcp-ut 30s\n' "$host" "$BASE_PORT"
    case $host in
    127.0.0.1 | 0.0.0.0) ;;
    *) printf '    bind 127.0.0.1:%d tcp-ut 30s\n' "$BASE_PORT" ;;
    esac
}

# What a REST client gets when no replica is there: the API's own error shape.
front_error_file() {
    local body='{"message":"service unavailable","code":503}'

    printf 'HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=UTF-8\r\nCache-Control: no-store\r\n'
    printf 'Retry-After: 1\r\nContent-Length: %d\r\n\r\n%s' "${#body}" "$body"
}

# front_state: "SERVER STATE" of each server, as haproxy sees it.
front_state() {
    curl --silent --fail --noproxy '*' --max-time 2 "http://$FRONT_ADMIN/;csv" |
        awk -F, '$2 ~ /-[1-5]$/ { print $2, $18 }'
}

# True for stun too, of which haproxy knows nothing.
front_sees_up() {
    [[ $1 == stun-* ]] || grep -q "^$1 UP" <<<"$(front_state)"
}

# True once haproxy has seen every replica that runs as up and no other as up.
front_knows() {
    local state service i want

    state=$(front_state) || return 1
    for service in "${FRONTED[@]}"; do
        for ((i = 1; i <= FRONT_REPLICAS; i++)); do
            want=DOWN
            [ "$i" -gt "$REPLICAS" ] || want=UP
            grep -q "^$service-$i $want" <<<"$state" || return 1
        done
    done
}

front_knows_or_died() {
    front_knows || ! process_runs haproxy
}

front_start() {
    local config="$DIR/conf/haproxy.cfg" changed=no master=()

    front_error_file >"$DIR/conf/503.http"
    front_config | replace_if_changed "$config" && changed=yes
    if process_runs haproxy; then
        if [ "$changed" = no ]; then
            [ "$TLS_RENEWED" = no ] || process_signal USR2 haproxy
            return 0
        fi
        note "restarting haproxy: its configuration has changed"
        process_stop TERM 5 haproxy
    fi
    haproxy -c -q -f "$config" 2>"$DIR/log/haproxy-check.log" || {
        cat "$DIR/log/haproxy-check.log" >&2
        die "haproxy refuses $config" "see the lines above"
    }
    note "starting haproxy"
    # One that reads a new certificate, and lets its streams end by themselves.
    [ -z "$CERT" ] || master=(-W)
    process_launch haproxy haproxy "${master[@]}" -q -db -f "$config"
}

front_wait() {
    wait_until 30 front_knows_or_died || {
        front_state >&2
        process_failed haproxy "haproxy does not see every replica as ready"
    }
    process_runs haproxy || process_failed haproxy "haproxy does not start" \
        "is port $BASE_PORT in use? choose another:  --base-port P"
}
