# STUN binding. Ours listens as in production, on the wildcard address; the limit a source address is off, as all load
# comes from one machine.

# stun_case SUBJECT PORT CASE PROCESS
stun_case() {
    measure stun "$3" "$1" "$BIN/bench-stun_load" "$SERVER:$2" "$AGENT" "$3" 1000 "${PID[$4]}"
}

bench_stun() {
    local round case

    start_ours stun 22000 ROOKERY_LISTEN=0.0.0.0:22000 ROOKERY_LOOPS=1 ROOKERY_PREFIX_RATE=0 ROOKERY_NICE=0
    start_reference stun_ref 22010
    [ "$STOCK" = no ] || start_stock_relay
    for ((round = 0; round < ROUNDS; round++)); do
        for case in many one; do
            stun_case ours 22000 "$case" stun
            stun_case ref 22010 "$case" stun_ref
            [ "$STOCK" = no ] || stun_case stock 22023 "$case" stock_relay
        done
    done
}
