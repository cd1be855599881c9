# Management: agents of one account, where everyone may talk to everyone. Each round is a new account on new processes.
# Ours is a replica of management and one of dashboard-api with their Postgres and Redis, and all of them count; stock
# keeps its data in SQLite, inside the one process. Nothing is pinned: both use all cores, as they do in use.

SIZES=20,100,500,1000 # the 20 warm caches and prepared statements; their figures are not in the table

# instance_up [REPLICAS]: what the instance's helpers of tools/rookery.d want: a directory, sockets, Postgres and Redis.
instance_up() {
    instance_open "$OUT/instance"
    ! instance_exists || instance_down
    REPLICAS=${1:-1}
    instance_make_dirs
    instance_save
    stores_start
}

instance_down() {
    [ -f "$OUT/instance/instance" ] || return 0
    instance_open "$OUT/instance"
    instance_find_run
    services_stop
    ! process_runs haproxy || process_stop TERM 5 haproxy
    stores_stop
    stores_wipe
    [ "$RUN" = "$DIR/run" ] || rm -rf "${RUN:?}"
    rm -rf "${DIR:?}"
}

# setup_token PORT: the owner's API token of a server that has no account yet.
setup_token() {
    ROOKERY_BENCH_TOKEN=$(curl --silent --fail --noproxy '*' --max-time 30 --header 'Content-Type: application/json' --data \
        '{"email":"owner@rookery.test","password":"Bench-2468-bench","name":"Owner","create_pat":true,"pat_expire_in":365}' \
        "http://127.0.0.1:$1/api/setup" | json_field personal_access_token)
    [ -n "$ROOKERY_BENCH_TOKEN" ] || die "POST /api/setup gave no token" "see $OUT/log"
    export ROOKERY_BENCH_TOKEN
}

MORE_OF_API=() # settings of dashboard-api, for some benchmarks
# start_ours_management HOST: one replica of management on 22070, one of dashboard-api on 22080.
start_ours_management() {
    local host=$1 stores secret

    secret=$(random_base64 32)
    stores=("ROOKERY_POSTGRES=$(postgres_conninfo)" "ROOKERY_REDIS=$(redis_uri)" "ROOKERY_SECRET_KEY=$secret")
    start_ours management 22070 "ROOKERY_LISTEN=$host:22070" "${stores[@]}" ROOKERY_SIGNAL_URL=http://127.0.0.1:22050 \
        ROOKERY_RELAY_URLS=rel://127.0.0.1:22030 "ROOKERY_RELAY_SECRET=$RELAY_SECRET" \
        ROOKERY_STUN_URLS=stun:127.0.0.1:22000
    start_ours dashboard-api 22080 "ROOKERY_LISTEN=$host:22080" "${stores[@]}" ROOKERY_SETUP_PAT_ENABLED=true \
        ROOKERY_PUBLIC_URL=http://127.0.0.1:22080 "${MORE_OF_API[@]}"
}

round_ours() {
    instance_up
    start_ours_management 127.0.0.1
    setup_token 22080
    measure management - ours "$BIN/bench-fleet" 22070 22080 $SIZES "${PID[management]}" "${PID[dashboard-api]}" \
        "$(process_pid postgres)" "$(process_pid redis)"
    stop management dashboard-api
    instance_down
}

# A change for everybody over TLS, beside what sealing and sending such maps needs at the least: changes that follow each other,
# as the reference's maps do.
PUSH_SIZE=200
PUSH_CHANGES=10

round_push() {
    local bytes

    instance_up
    start_ours_management 127.0.0.1
    setup_token 22080
    measure push - ours "$BIN/bench-fleet" 22070 22080 "20,${PUSH_SIZE}x$PUSH_CHANGES" "${PID[management]}" "${PID[dashboard-api]}" \
        "$(process_pid postgres)" "$(process_pid redis)"
    stop management dashboard-api
    instance_down
    bytes=$(awk -F'\t' -v size=$PUSH_SIZE '$1 == "push" && $2 == size && $4 == "map_bytes" { n = $5 } END { printf "%d", n }' "$FIGURES")
    measure push - ref "$BIN/bench-push_ref" $PUSH_SIZE "$bytes" 1000
    [ "$STOCK" = yes ] || return 0
    # Stock's agents and its API share a port; they speak in the clear there.
    start_stock_management 127.0.0.1
    setup_token 22090
    ROOKERY_BENCH_CA='' measure push - stock "$BIN/bench-fleet" 22090 22090 "20,${PUSH_SIZE}x$PUSH_CHANGES" "${PID[stock_management]}"
    stop stock_management
}

# start_stock_management HOST
start_stock_management() {
    local data=$OUT/stock-data

    rm -rf "$data"
    start stock_management "http_ok http://127.0.0.1:22090/api/instance" \
        "$ROOT/tests/support/stock-server" "$STOCK_OUT/combined" "$data" "$1" 22090
}

round_stock() {
    start_stock_management 127.0.0.1
    setup_token 22090
    measure management - stock "$BIN/bench-fleet" 22090 22090 $SIZES "${PID[stock_management]}"
    stop stock_management
}

bench_management() {
    local round pinned=$PIN

    PIN=no
    LOOPBACK=yes
    for ((round = 0; round < ROUNDS; round++)); do
        round_ours
        over_tls round_push
        [ "$STOCK" = no ] || round_stock
    done
    PIN=$pinned
    LOOPBACK=no
}
