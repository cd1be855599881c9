# Signal: one replica with its Redis, as one always runs, although nothing crosses replicas here; the Redis counts. In the clear,
# and over TLS.

start_signal() {
    start redis "redis-cli -s $OUT/redis.sock ping 2>/dev/null | grep -q PONG" redis-server --port 0 \
        --unixsocket "$OUT/redis.sock" --save '' --appendonly no --dir "$OUT"
    start_ours signal 22050 "ROOKERY_LISTEN=$SERVER:22050" "ROOKERY_REDIS=unix:$OUT/redis.sock"
}

start_stock_signal() {
    start stock_signal "port_taken 22060" "$STOCK_OUT/signal" run --port 22060 --metrics-port 22061 \
        --log-file console --log-level warn ${TLS_CERT:+--cert-file "$TLS_CERT" --cert-key "$TLS_KEY"}
}

# signal_case NAME MODE CLIENTS MILLISECONDS
signal_case() {
    local case=$1

    shift
    measure signal "$case" ours "$BIN/bench-signal_load" "$SERVER:22050" "$@" "${PID[signal]}" "${PID[redis]}"
    start_reference signal_ref 22055
    measure signal "$case" ref "$BIN/bench-signal_load" "$SERVER:22055" "$@" "${PID[signal_ref]}"
    stop signal_ref
    [ "$STOCK" = no ] ||
        measure signal "$case" stock "$BIN/bench-signal_load" "$SERVER:22060" "$@" "${PID[stock_signal]}"
}

# round_signal PREFIX
round_signal() {
    start_signal
    [ "$STOCK" = no ] || start_stock_signal
    signal_case "${1}100" flow 100 1500
    signal_case "${1}1000" flow 1000 1500
    signal_case "${1}one" one 100 1000
    stop signal redis stock_signal
}

bench_signal() {
    local round

    for ((round = 0; round < ROUNDS; round++)); do
        round_signal ''
        over_tls round_signal tls-
    done
}
