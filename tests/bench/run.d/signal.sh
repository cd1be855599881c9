# Signal: one replica with its Redis, as one always runs, although nothing crosses replicas here; the Redis counts.

start_signal() {
    start redis "redis-cli -s $OUT/redis.sock ping 2>/dev/null | grep -q PONG" redis-server --port 0 \
        --unixsocket "$OUT/redis.sock" --save '' --appendonly no --dir "$OUT"
    start_ours signal 22050 "ROOKERY_LISTEN=$SERVER:22050" "ROOKERY_REDIS=unix:$OUT/redis.sock"
}

start_stock_signal() {
    start stock_signal "port_taken 22060" "$STOCK_OUT/signal" run --port 22060 --metrics-port 22061 \
        --log-file console --log-level warn
}

bench_signal() {
    local round clients

    start_signal
    [ "$STOCK" = no ] || start_stock_signal
    for ((round = 0; round < ROUNDS; round++)); do
        for clients in 100 1000; do
            measure signal $clients ours "$BIN/bench-signal_load" "$SERVER:22050" flow $clients 1500 "${PID[signal]}" "${PID[redis]}"
            [ "$STOCK" = no ] ||
                measure signal $clients stock "$BIN/bench-signal_load" "$SERVER:22060" flow $clients 1500 "${PID[stock_signal]}"
        done
        measure signal one ours "$BIN/bench-signal_load" "$SERVER:22050" one 100 1000 "${PID[signal]}" "${PID[redis]}"
        [ "$STOCK" = no ] ||
            measure signal one stock "$BIN/bench-signal_load" "$SERVER:22060" one 100 1000 "${PID[stock_signal]}"
    done
}
