# REST on an account of 1,000 peers: all processes that an answer needs count (ours: dashboard-api, Postgres, Redis).

REST_PEERS=1000
REST_FEWER=500 # of which lists are asked before the others join
REST_CONNECTIONS=16
REST_MANY=64 # of small answers, once more

# rest_cases SUBJECT PORT PROCESS_ID...: the answers that one server gives.
rest_cases() {
    local subject=$1 port=$2

    shift 2
    rest_case "$subject" "$port" peers /api/peers "$@"
    small_case "$subject" "$port" user /api/users/current "$@"
    small_case "$subject" "$port" instance /api/instance "$@"
}

# fewer_cases SUBJECT PORT POLICY_ID GROUP_ID PROCESS_ID...: the same with fewer peers, and a policy that is another one each time.
fewer_cases() {
    local subject=$1 port=$2 policy=$3 group=$4

    shift 4
    rest_case "$subject" "$port" fewer-peers /api/peers "$@"
    rest_case "$subject" "$port" fewer-groups /api/groups "$@"
    ROOKERY_BENCH_PUT=$(policy_text "$group") rest_case "$subject" "$port" put "/api/policies/$policy" "$@"
}

policy_text() {
    printf '{"name":"bench","description":"","enabled":true,"source_posture_checks":[],"rules":[{"name":"bench",'
    printf '"description":"","enabled":true,"action":"accept","bidirectional":true,"protocol":"tcp","ports":["10000"],'
    printf '"sources":["%s"],"destinations":["%s"]}]}' "$1" "$1"
}

# rest_ids PORT: of a policy for everybody and of the group of everybody, in an account that has no peers yet.
rest_ids() {
    local url=http://127.0.0.1:$1 group policy

    group=$(rest_ask "$url" groups | grep -o '{[^{}]*"name" *: *"All"[^{}]*}' | json_field id)
    policy=$(rest_ask "$url" policies --data "$(policy_text "$group")" | sed 's/"rules".*//' | json_field id)
    [ -n "$group" ] && [ -n "$policy" ] || die "POST /api/policies gave no policy"
    printf '%s %s' "$policy" "$group"
}

# rest_ask API_URL PATH [OPTION...]
rest_ask() {
    local url=$1 path=$2

    shift 2
    curl --silent --fail --noproxy '*' --max-time 30 --header 'Content-Type: application/json' \
        --header "Authorization: Token $ROOKERY_BENCH_TOKEN" "$@" "$url/api/$path"
}

# rest_case SUBJECT PORT CASE PATH PROCESS_ID...
rest_case() {
    local subject=$1 port=$2 case=$3 path=$4

    shift 4
    measure rest "$case" "$subject" "$BIN/bench-rest_load" "$SERVER:$port" "$path" "${CONNECTIONS:-$REST_CONNECTIONS}" 1500 "$@"
}

# The same, and with more connections.
small_case() {
    local subject=$1 port=$2 case=$3

    shift 3
    rest_case "$subject" "$port" "$case" "$@"
    CONNECTIONS=$REST_MANY rest_case "$subject" "$port" "$case-many" "$@"
}

# reference_cases CASE PATH: a constant answer as long as ours.
reference_cases() {
    local case=$1 path=$2

    small_case ref 22095 "$case" "/$(rest_ask http://127.0.0.1:22080 "$path" | wc -c)" "${PID[mhd_ref]}"
}

# The peers join as agents do; that is not measured here. rest_join SUBJECT NUMBER FLEET_ARGUMENT...
rest_join() {
    local subject=$1 number=$2

    shift 2
    note "$number peers join ($subject)"
    LOOPBACK=yes measure join - join "$BIN/bench-fleet" "$1" "$2" "+$number" "$3"
}

# each_server COMMAND...: with the arguments SUBJECT PORT PROCESS_ID... of ours, and of stock.
each_server() {
    ROOKERY_BENCH_TOKEN=$REST_TOKEN
    "$@" ours 22080 "${PID[dashboard-api]}" "$(process_pid postgres)" "$(process_pid redis)" "${PID[management]}"
    [ "$STOCK" = no ] || {
        ROOKERY_BENCH_TOKEN=$REST_STOCK_TOKEN
        "$@" stock 22090 "${PID[stock_management]}"
    }
}

each_joins() {
    local subject=$2 number=$1

    case $subject in
    ours) rest_join ours "$number" 22070 22080 "${PID[management]}" ;;
    stock) rest_join stock "$number" 22090 22090 "${PID[stock_management]}" ;;
    esac
}

each_has_fewer() {
    local subject=$1 port=$2

    shift 2
    # shellcheck disable=SC2086
    fewer_cases "$subject" "$port" ${REST_IDS[$subject]} "$@"
}

bench_rest() {
    local round pinned=$PIN
    local -A REST_IDS=()

    PIN=no
    instance_up
    start_ours_management 0.0.0.0
    setup_token 22080
    REST_TOKEN=$ROOKERY_BENCH_TOKEN
    REST_IDS[ours]=$(rest_ids 22080)
    [ "$STOCK" = no ] || {
        start_stock_management 0.0.0.0
        setup_token 22090
        REST_STOCK_TOKEN=$ROOKERY_BENCH_TOKEN
        REST_IDS[stock]=$(rest_ids 22090)
    }
    start_reference mhd_ref 22095
    each_server each_joins $REST_FEWER
    for ((round = 0; round < ROUNDS; round++)); do
        each_server each_has_fewer
        LOOPBACK=yes measure rest put ref "$BIN/bench-insert_ref" "$(postgres_conninfo)" $REST_CONNECTIONS 1500 \
            "$(process_pid postgres)"
    done
    each_server each_joins $((REST_PEERS - REST_FEWER))
    for ((round = 0; round < ROUNDS; round++)); do
        each_server rest_cases
        ROOKERY_BENCH_TOKEN=$REST_TOKEN
        reference_cases user users/current
        reference_cases instance instance
    done
    stop management dashboard-api
    instance_down
    PIN=$pinned
}
