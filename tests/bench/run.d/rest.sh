# REST on an account of 1,000 peers: all processes that an answer needs count (ours: dashboard-api, Postgres, Redis).

REST_PEERS=1000
REST_CONNECTIONS=16

# rest_cases SUBJECT PORT PROCESS_ID...: the answers that one server gives.
rest_cases() {
    local subject=$1 port=$2

    shift 2
    rest_case "$subject" "$port" peers /api/peers "$@"
    rest_case "$subject" "$port" user /api/users/current "$@"
    rest_case "$subject" "$port" instance /api/instance "$@"
}

# rest_case SUBJECT PORT CASE PATH PROCESS_ID...
rest_case() {
    local subject=$1 port=$2 case=$3 path=$4

    shift 4
    measure rest "$case" "$subject" "$BIN/bench-rest_load" "$SERVER:$port" "$path" $REST_CONNECTIONS 1500 "$@"
}

# The peers join as agents do; that is not measured here.
rest_join() {
    note "$REST_PEERS peers join ($1)"
    shift
    measure join - join "$BIN/bench-fleet" "$@"
}

bench_rest() {
    local round case pinned=$PIN token stock_token

    PIN=no
    instance_up
    start_ours_management 0.0.0.0
    setup_token 22080
    token=$ROOKERY_BENCH_TOKEN
    LOOPBACK=yes rest_join ours 22070 22080 +$REST_PEERS "${PID[management]}"
    [ "$STOCK" = no ] || {
        start_stock_management 0.0.0.0
        setup_token 22090
        stock_token=$ROOKERY_BENCH_TOKEN
        LOOPBACK=yes rest_join stock 22090 22090 +$REST_PEERS "${PID[stock_management]}"
    }
    start_reference mhd_ref 22095
    for ((round = 0; round < ROUNDS; round++)); do
        ROOKERY_BENCH_TOKEN=$token
        rest_cases ours 22080 "${PID[dashboard-api]}" "$(process_pid postgres)" "$(process_pid redis)"
        for case in user instance; do
            rest_case ref 22095 $case / "${PID[mhd_ref]}"
        done
        [ "$STOCK" = no ] || {
            ROOKERY_BENCH_TOKEN=$stock_token
            rest_cases stock 22090 "${PID[stock_management]}"
        }
    done
    stop management dashboard-api
    instance_down
    PIN=$pinned
}
