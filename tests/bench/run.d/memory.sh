# Private resident memory of an idle connection: each round a process of its own, which has served nobody before. In the clear,
# and over TLS. Of management a fleet has it, whose agents hold their Sync and their Job.

IDLE=1000
SETTLE_MS=2000

# memory_case SUBJECT CASE PROCESS LOAD...: of one process, which ends afterwards.
memory_case() {
    local subject=$1 case=$2 process=$3

    shift 3
    measure memory "$case" "$subject" "$@" "${PID[$process]}"
    stop "$process"
}

# round_memory PREFIX
round_memory() {
    start_signal
    memory_case ours "${1}signal" signal "$BIN/bench-signal_load" "$SERVER:22050" idle $IDLE $SETTLE_MS
    stop redis
    start_relay
    memory_case ours "${1}relay" relay "$BIN/bench-relay_load" "$SERVER:22030" ws idle $IDLE
    start_reference signal_ref 22055
    memory_case ref "${1}signal" signal_ref "$BIN/bench-signal_load" "$SERVER:22055" idle $IDLE $SETTLE_MS
    memory_management "${1}management"
    [ "$STOCK" = yes ] || return 0
    start_stock_signal
    memory_case stock "${1}signal" stock_signal "$BIN/bench-signal_load" "$SERVER:22060" idle $IDLE $SETTLE_MS
    start_stock_relay
    memory_case stock "${1}relay" stock_relay "$BIN/bench-relay_load" "$SERVER:22020" ws idle $IDLE
}

# memory_fleet CASE SUBJECT PROCESS MANAGEMENT_PORT REST_PORT
memory_fleet() {
    local case=$1 subject=$2 process=$3 before after scheme=http${TLS_CERT:+s}

    before=$(private_bytes "${PID[$process]}")
    (
        raise_file_limit
        ROOKERY_TOKEN=$ROOKERY_BENCH_TOKEN PIN=no on_core 0 "$BIN/rookery-fleet" --management "$scheme://127.0.0.1:$4" \
            --api "http://127.0.0.1:$5" ${TLS_CERT:+--ca "$ROOKERY_BENCH_CA"} --watch "${PID[$process]}" \
            --json "$OUT/log/memory.json" "$BENCH/fleet/scenarios/quiet"
    ) >"$OUT/log/memory.log" 2>&1 || {
        cat "$OUT/log/memory.log" >&2
        die "memory $case ($subject) failed"
    }
    after=$(awk -f "$BENCH/fleet.awk" "$OUT/log/memory.json" | awk '$1 == "2-run/servers_bytes" { print $2 }')
    awk -v before="$before" -v after="$after" -v agents="$(sed -n 's/^agents //p' "$BENCH/fleet/scenarios/quiet")" \
        'BEGIN { print "bytes", (after - before) / agents }' | figures memory "$case" "$subject"
}

memory_management() {
    instance_up
    start_ours_management 127.0.0.1
    setup_token 22080
    memory_fleet "$1" ours management 22070 22080
    stop management dashboard-api
    instance_down
    [ "$STOCK" = yes ] && [ -z "$TLS_CERT" ] || return 0
    start_stock_management 127.0.0.1
    setup_token 22090
    memory_fleet "$1" stock stock_management 22090 22090
    stop stock_management
}

# What the kernel holds of a connection that idles, besides: the sizes of its structures.
memory_kernel() {
    awk '$1 ~ /^(TCP|sock_inode_cache|dentry|filp|eventpoll_epi|ep_item|eventpoll_pwq)$/ { n += $4 } END { print "bytes", n }' \
        /proc/slabinfo | figures memory kernel ours
}

bench_memory() {
    local round

    for ((round = 0; round < ROUNDS; round++)); do
        round_memory ''
        over_tls round_memory tls-
        [ ! -r /proc/slabinfo ] || memory_kernel
    done
}
