# Private resident memory of an idle connection: each round a process of its own, which has served nobody before.
# Management's is measured by its own benchmark, on the streams that are open there.

IDLE=1000
SETTLE_MS=2000

bench_memory() {
    local round

    for ((round = 0; round < ROUNDS; round++)); do
        start_signal
        measure memory signal ours "$BIN/bench-signal_load" "$SERVER:22050" idle $IDLE $SETTLE_MS "${PID[signal]}"
        stop signal redis
        start_relay
        measure memory relay ours "$BIN/bench-relay_load" "$SERVER:22030" ws idle $IDLE "${PID[relay]}"
        stop relay
        [ "$STOCK" = yes ] || continue
        start_stock_signal
        measure memory signal stock "$BIN/bench-signal_load" "$SERVER:22060" idle $IDLE $SETTLE_MS "${PID[stock_signal]}"
        stop stock_signal
        start_stock_relay
        measure memory relay stock "$BIN/bench-relay_load" "$SERVER:22020" ws idle $IDLE "${PID[stock_relay]}"
        stop stock_relay
    done
}
