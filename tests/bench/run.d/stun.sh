# STUN binding. Ours listens as in production, on the wildcard address; the limit a source address is off, as all load
# comes from one machine. Beside the reference stands coturn, which many run for STUN, where turnserver is installed. One
# loop and two are compared over loopback, where both cores are theirs and their load's.

# stun_case SUBJECT PORT CASE PROCESS|core:NUMBER [LOAD]
stun_case() {
    measure stun "$3" "$1" "$BIN/bench-stun_load" "$SERVER:$2" "$AGENT" "${5:-$3}" 1000 "${PID[$4]:-$4}"
}

# stun_start LOOPS [SETTING=VALUE...]
stun_start() {
    start_ours stun 22000 ROOKERY_LISTEN=0.0.0.0:22000 ROOKERY_PREFIX_RATE=0 ROOKERY_NICE=0 ROOKERY_LOOPS="$@"
}

listens_udp() {
    ss -Hlun "sport = :$1" | grep -q .
}

# STUN alone, one thread, answers as short as ours.
start_coturn() {
    start coturn 'listens_udp 22040' turnserver -n --stun-only --no-auth --no-tcp --no-tls --no-dtls --no-cli --no-rfc5780 \
        --no-stun-backward-compatibility --response-origin-only-with-rfc5780 --no-software-attribute -L "$SERVER" -p 22040 \
        -m 0 --log-file /dev/null --simple-log --pidfile "$OUT/coturn.pid" --db "$OUT/coturn.db"
}

stun_round() {
    local case

    for case in many one; do
        stun_case ours 22000 "$case" stun
        stun_case ref 22010 "$case" stun_ref
        [ "$STOCK" = no ] || stun_case stock 22023 "$case" stock_relay
    done
    [ -n "${PID[coturn]:-}" ] || return 0
    stun_case ours 22000 coturn stun many
    stun_case ref 22040 coturn coturn many
}

# Ours with two loops, and as its reference with one.
stun_loops_round() {
    local SERVER=127.0.0.1 AGENT=127.0.1.1 LOOPBACK=yes PIN=no

    stun_start 2
    stun_case ours 22000 loops stun many
    stop stun
    stun_start 1
    stun_case ref 22000 loops stun many
    stop stun
}

# Answered by the kernel itself, for nobody whose time it would be: all that the core does counts, of the reference as well.
stun_xdp_round() {
    local load

    for load in many one; do
        stun_case ours 22000 "xdp-$load" "core:$SERVER_CORE" "$load"
        stun_case ref 22010 "xdp-$load" "core:$SERVER_CORE" "$load"
    done
}

stun_xdp() {
    (as_agents "$BIN/bench-cable" bench1 card)
    stun_start 1 ROOKERY_XDP=bench0 ROOKERY_XDP_MODE=driver
    each_round stun_xdp_round
    stop stun
    (as_agents "$BIN/bench-cable" bench1 plain)
}

bench_stun() {
    stun_start 1
    start_reference stun_ref 22010
    [ "$STOCK" = no ] || start_stock_relay
    if command -v turnserver >/dev/null; then
        start_coturn
    else
        note "without coturn, which is not installed (apt-get install coturn, which starts it as a service)"
    fi
    each_round stun_round
    stop stun
    if [ "$ROOKERY_BENCH_STEERED" = yes ]; then
        stun_xdp
    else
        note "without XDP, which needs root"
    fi
    [ "$(nproc --all)" -gt 1 ] || return 0
    each_round stun_loops_round
}
