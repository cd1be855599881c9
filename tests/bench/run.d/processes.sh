# Servers under measurement: started on a core of their own, stopped at the end, their output in build/bench/log.

declare -A PID=()
SERVER_CORE=0
LOAD_CORE=1
PIN=yes

# The servers' address in their own network; the agents' first in theirs (in-netns).
SERVER=10.99.0.1
# shellcheck disable=SC2034 # the benchmarks use it
AGENT=10.99.1.1
# Where nobody is, from there.
# shellcheck disable=SC2034 # the benchmarks use it
NOBODY=10.98.0.1:3478
# LOOPBACK=yes: the load runs in the servers' network too.
LOOPBACK=no

# as_agents COMMAND...: as if on the agents' host.
as_agents() {
    if [ "$LOOPBACK" = yes ]; then
        on_core "$LOAD_CORE" "$@"
    else
        on_core "$LOAD_CORE" nsenter "--net=$ROOKERY_BENCH_AGENTS" "$@"
    fi
}

# on_core NUMBER COMMAND...: pinned, where there is more than one core, unless the benchmark says PIN=no.
on_core() {
    local core=$1

    shift
    if [ "$PIN" = yes ] && [ "$(nproc --all)" -gt 1 ]; then
        exec taskset -c "$core" "$@"
    fi
    exec "$@"
}

# start NAME READY COMMAND...: READY is a shell command that succeeds once the server serves.
start() {
    local name=$1 ready=$2

    shift 2
    : >"$OUT/log/$name.log"
    (
        raise_file_limit
        cd /
        on_core "$SERVER_CORE" "$@"
    ) </dev/null >>"$OUT/log/$name.log" 2>&1 &
    PID[$name]=$!
    disown "${PID[$name]}"
    wait_until 30 ready_or_dead "$name" "$ready" || stopped_short "$name" "is not ready after 30 s"
    kill -0 "${PID[$name]}" 2>/dev/null || stopped_short "$name" "does not start"
}

ready_or_dead() {
    eval "$2" || ! kill -0 "${PID[$1]}" 2>/dev/null
}

says_ready() {
    grep -q '^ready$' "$OUT/log/$1.log"
}

stopped_short() {
    tail -n 15 "$OUT/log/$1.log" >&2
    die "$1 $2" "all of its log: $OUT/log/$1.log"
}

stop() {
    local name

    for name in "$@"; do
        [ -n "${PID[$name]:-}" ] || continue
        kill -TERM "${PID[$name]}" 2>/dev/null || true
        wait_until 5 gone "${PID[$name]}" || kill -KILL "${PID[$name]}" 2>/dev/null || true
        wait_until 5 gone "${PID[$name]}" || die "$name (pid ${PID[$name]}) does not end"
        unset "PID[$name]"
    done
}

gone() {
    ! start_time "$1" >/dev/null
}

stop_all() {
    stop "${!PID[@]}"
    instance_down
}

# start_ours SERVICE PORT SETTING=VALUE...: one process of ours; its admin port is the next one.
start_ours() {
    local service=$1 port=$2

    shift 2
    start "$service" "http_ok http://127.0.0.1:$((port + 1))/readyz" \
        env "ROOKERY_ADMIN_LISTEN=127.0.0.1:$((port + 1))" "$@" "$BIN/rookery-$service"
}

start_reference() {
    start "$1" "says_ready $1" "$BIN/bench-$1" "$SERVER:$2"
}

TLS_CERT='' # the servers' certificate, where they speak TLS
TLS_KEY=

# over_tls COMMAND...: servers that are started meanwhile have a certificate, and agents believe it.
over_tls() {
    (
        DIR=$OUT/tls HOST=$SERVER
        mkdir -p -m 700 "$DIR/secrets"
        tls_prepare "DNS:relay,DNS:signal,DNS:management,IP:$SERVER,IP:127.0.0.1"
    )
    TLS_CERT=$OUT/tls/secrets/front.crt TLS_KEY=$OUT/tls/secrets/front.key
    export ROOKERY_TLS_CERT_FILE=$TLS_CERT ROOKERY_TLS_KEY_FILE=$TLS_KEY ROOKERY_BENCH_CA=$OUT/tls/ca.pem
    "$@"
    TLS_CERT='' TLS_KEY=''
    unset ROOKERY_TLS_CERT_FILE ROOKERY_TLS_KEY_FILE ROOKERY_BENCH_CA
}
