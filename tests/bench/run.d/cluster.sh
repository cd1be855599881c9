# A cluster of several replicas of everything with fleets of simulated agents: what storms, rolling restarts, overload and
# soak are measured on. Servers and agents share all cores, over loopback.

OWN_DESCRIPTORS=200 # of a server, besides those of its agents
HAPROXY_EACH=6      # descriptors of haproxy for an agent, while replicas are restarted

# server_room: so many connections can one server have; its descriptors end them, and the ports of agents who have one address.
server_room() {
    local low high room

    read -r low high </proc/sys/net/ipv4/ip_local_port_range
    room=$(($(file_limit) - OWN_DESCRIPTORS))
    [ "$room" -le $((high - low)) ] || room=$((high - low))
    printf '%s' "$room"
}

# need_room AGENTS EACH N SERVERS: each agent has so many connections to one of N servers; says at once what would be agents that
# wait for minutes.
need_room() {
    local room=$(($(server_room) / $2 * $3))

    [ "$1" -le "$room" ] || die "$1 agents are too many for $4: there is room for $room" \
        "a process may have $(file_limit) descriptors (ulimit -Hn), of which an agent takes $2" \
        "fewer agents (--agents N), or a higher limit"
}

# replicas_for AGENTS LEAST: as many as keep each of them within its descriptors. Half as many again are left to each: an agent that
# starts anew is there twice, until the end of its old connection is seen.
replicas_for() {
    local room replicas

    room=$(($(server_room) * 2 / 3))
    replicas=$((($1 + room - 1) / room))
    [ "$replicas" -ge "$2" ] || replicas=$2
    [ "$replicas" -le "$MAX_REPLICAS" ] || replicas=$MAX_REPLICAS
    printf '%s' "$replicas"
}

# cluster_start REPLICAS FRONT AGENTS: FRONT=yes: behind haproxy, as `rookery up` has it; no: agents are straight at replicas, in turn.
cluster_start() {
    CLUSTER_FRONT=$2
    if [ "$CLUSTER_FRONT" = yes ]; then
        need_room "$3" $HAPROXY_EACH 1 haproxy
    else
        need_room "$3" 1 "$1" "$1 of each service"
    fi
    instance_up "$1"
    if [ "$CLUSTER_FRONT" = yes ]; then
        tls_prepare "$(tls_alt_names)"
        front_bench
        services_start
        front_start
        front_wait
        API_URL=http://127.0.0.1:$BASE_PORT
    else
        [ -z "$TLS_CERT" ] || TLS=yes CERT=$TLS_CERT KEY=$TLS_KEY
        services_secrets
        cluster_configure
        cluster_launch
        cluster_wait
        API_URL=http://127.0.0.1:$(port_of dashboard-api 1)
    fi
    API_OPTIONS=() API_ADVICE=("see $DIR/log")
    bootstrap 2>/dev/null
}

# As `rookery up` has it, but that clear text and TLS have a port each and only the first is open: a connection that is passed on
# inside haproxy takes three descriptors of it instead of one.
front_bench() {
    front_private
    FRONT_PLACE=bench
}

front_at_bench() {
    front_at_private "$@"
}

front_check_bench() {
    front_check_private "$@"
}

front_entry_bench() {
    printf 'frontend web\n    mode http\n%s\n' "$(front_binds)"
}

# A replica of management names the signal of its own number: there is no front that would share the agents out.
cluster_configure() {
    local name

    while read -r name; do
        service_config "${name%-*}" "${name##*-}" |
            sed "s,^signal_url = .*,signal_url = http${TLS_CERT:+s}://$(service_listen signal "${name##*-}")," >"$DIR/conf/$name.conf"
    done < <(service_names)
}

cluster_launch() {
    local name

    while read -r name; do
        service_launch "$name"
    done < <(service_names)
}

cluster_wait() {
    local name

    while read -r name; do
        service_wait "$name"
    done < <(service_names)
}

# All replicas of everything at once, as when their machines lose power.
cluster_kill() {
    local name

    while read -r name; do
        process_signal KILL "$name"
    done < <(service_names)
    while read -r name; do
        wait_until 10 process_gone "$name" || die "$name cannot be killed"
    done < <(service_names)
}

# cluster_processes: their ids, and those of Postgres and Redis, with commas between.
cluster_processes() {
    local name list=

    while read -r name; do
        list+=${list:+,}$(process_pid "$name")
    done < <(process_names)
    printf '%s' "$list"
}

FLEETS=() # their processes

# fleet_start SCENARIO AGENTS GROUPS [OPTION...]: one, with as many processes at each replica, or at the front.
fleet_start() {
    local scenario=$1 agents=$2 groups=$3 management=http://127.0.0.1:$BASE_PORT

    shift 3
    [ "$CLUSTER_FRONT" = yes ] || management=$(each_replica cluster_management)
    FLEETS=()
    FLEET_FILES=("$OUT/log/fleet-1")
    ROOKERY_BENCH_TOKEN=$(cat "$DIR/secrets/token")
    fleet_run 1 "$management" "$API_URL" "$scenario" --agents "$agents" --groups "$groups" ${TLS_CERT:+--ca "$ROOKERY_BENCH_CA"} "$@"
}

# cluster_management NUMBER
cluster_management() {
    printf 'http%s://%s' "${TLS_CERT:+s}" "$(service_listen management "$1")"
}

# The policy for everybody goes: of several fleets the first that ends would switch it on again under the others.
cluster_without_default() {
    local policy

    ROOKERY_BENCH_TOKEN=$(cat "$DIR/secrets/token")
    policy=$(rest_ask "$API_URL" policies | sed 's/"rules".*//' | json_field id)
    [ -n "$policy" ] || die "the account has no policy of its own"
    rest_ask "$API_URL" "policies/$policy" --request DELETE >/dev/null
}

# fleet_forget NUMBER: what an earlier run has written, before anybody waits for a step and finds that.
fleet_forget() {
    rm -f "$OUT/log/fleet-$1.json"
    : >"$OUT/log/fleet-$1.log"
}

FLEET_AS=(exec) # what becomes the fleet, with its command line after it

# fleet_run NUMBER MANAGEMENT_URL API_URL SCENARIO OPTION...
fleet_run() {
    local i=$1 management=$2 api=$3 scenario=$4

    shift 4
    fleet_forget "$i"
    (
        raise_file_limit
        ROOKERY_TOKEN=$ROOKERY_BENCH_TOKEN "${FLEET_AS[@]}" "$BIN/rookery-fleet" --management "$management" --api "$api" \
            --json "$OUT/log/fleet-$i.json" "$@" "$scenario"
    ) >"$OUT/log/fleet-$i.log" 2>&1 &
    FLEETS+=($!)
}

# fleets_have STEP: all of them have done that step.
fleets_have() {
    local file

    for file in "${FLEET_FILES[@]}"; do
        grep -q "^$1 " "$file.log" || return 1
    done
}

fleets_have_or_died() {
    local pid

    for pid in "${FLEETS[@]}"; do
        kill -0 "$pid" 2>/dev/null || return 0
    done
    fleets_have "$1"
}

# fleets_wait_for STEP SECONDS
fleets_wait_for() {
    local why="have not done their '$1' in $2 s"

    if wait_until "$2" fleets_have_or_died "$1"; then
        ! fleets_have "$1" || return 0
        why="have ended before their '$1' was done"
    fi
    tail -n 20 "${FLEET_FILES[@]/%/.log}" >&2
    die "the fleets $why"
}

# fleets_figures BENCHMARK [SUBJECT]: waits for the end of the fleets. One that saw a fault, as an error that an agent would have shown,
# ends everything; what stock does wrong is told.
fleets_figures() {
    local pid failed=no subject=${2:-ours}

    for pid in "${FLEETS[@]}"; do
        wait "$pid" || failed=yes
    done
    FLEETS=()
    if [ "$failed" = yes ]; then
        if [ "$subject" = ours ] || [ ! -s "${FLEET_FILES[0]}.json" ]; then
            cat "${FLEET_FILES[@]/%/.log}" >&2
            die "$1: a fleet saw a fault, or failed"
        fi
        note "stock: $(tail -qn 1 "${FLEET_FILES[@]/%/.log}")"
    fi
    awk -f "$BENCH/fleet.awk" "${FLEET_FILES[@]/%/.json}" | figures "$1" - "$subject"
}
