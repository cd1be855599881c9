# Relay over WebSocket, messages of 1,400 bytes, one loop; in the clear, and over TLS.

RELAY_SECRET=bench-secret
export ROOKERY_BENCH_SECRET=$RELAY_SECRET

start_relay() {
    start_ours relay 22030 "ROOKERY_LISTEN=$SERVER:22030" ROOKERY_LOOPS=1 "ROOKERY_RELAY_SECRET=$RELAY_SECRET" \
        "ROOKERY_EXPOSED_URL=rel${TLS_CERT:+s}://$SERVER:22030"
}

# It serves STUN as well.
start_stock_relay() {
    start stock_relay "port_taken 22020" "$STOCK_OUT/relay" --listen-address "$SERVER:22020" \
        --exposed-address "rel${TLS_CERT:+s}://$SERVER:22020" --auth-secret "$RELAY_SECRET" --enable-stun --stun-ports 22023 \
        --health-listen-address 127.0.0.1:22021 --metrics-port 22022 --log-level warn --stun-log-level warn \
        ${TLS_CERT:+--tls-cert-file "$TLS_CERT" --tls-key-file "$TLS_KEY"}
}

# relay_case NAME LOAD...
relay_case() {
    local case=$1

    shift
    measure relay "$case" ours "$BIN/bench-relay_load" "$SERVER:22030" ws "$@" "${PID[relay]}"
    start_reference relay_ref 22040
    measure relay "$case" ref "$BIN/bench-relay_load" "$SERVER:22040" raw "$@" "${PID[relay_ref]}"
    stop relay_ref
    [ "$STOCK" = no ] ||
        measure relay "$case" stock "$BIN/bench-relay_load" "$SERVER:22020" ws "$@" "${PID[stock_relay]}"
}

round_relay() {
    local pairs

    start_relay
    [ "$STOCK" = no ] || start_stock_relay
    for pairs in 1 16 200; do
        relay_case "flow-$pairs" flow "$pairs" 1 1000
    done
    relay_case batch-1 flow 1 45 1000
    relay_case batch-16 flow 16 45 1000
    relay_case fan-16 fan 16 45 1000
    relay_case echo echo 1000
    stop relay stock_relay
}

round_relay_tls() {
    start_relay
    [ "$STOCK" = no ] || start_stock_relay
    relay_case tls-batch-1 flow 1 45 1000
    relay_case tls-batch-16 flow 16 45 1000
    relay_case tls-fan-16 fan 16 45 1000
    relay_case tls-flow-16 flow 16 1 1000
    stop relay stock_relay
}

bench_relay() {
    local round

    for ((round = 0; round < ROUNDS; round++)); do
        round_relay
        over_tls round_relay_tls
    done
}
