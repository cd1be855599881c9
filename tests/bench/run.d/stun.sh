# STUN binding. Ours listens as in production, on the wildcard address, which costs it a control message a datagram; the
# limit a source address is off, as all load comes from one machine.

bench_stun() {
    local round load case

    start_ours stun 22000 ROOKERY_LISTEN=0.0.0.0:22000 ROOKERY_LOOPS=1 ROOKERY_PREFIX_RATE=0
    start_reference stun_ref 22010
    [ "$STOCK" = no ] || start_stock_relay
    for ((round = 0; round < ROUNDS; round++)); do
        for case in many one; do
            load="$BIN/bench-stun_load 127.0.0.1"
            # shellcheck disable=SC2086
            {
                measure stun $case ours $load 22000 $case 1000 "${PID[stun]}"
                measure stun $case ref $load 22010 $case 1000 "${PID[stun_ref]}"
                [ "$STOCK" = no ] ||
                    measure stun $case stock $load 22023 $case 1000 "${PID[stock_relay]}"
            }
        done
    done
}
