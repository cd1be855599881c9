# What connected agents notice of attacks: one replica of everything over TLS, agents that change, signal and relay, and in turn
# some seconds of quiet and some of an attack on one service. Servers are on one core, agents and attacker in the network of
# another. Agents go before the attacker there, and those who signal and relay before those whose maps change, each in a process
# of their own, as all of them would have machines of their own. What agents notice nevertheless of an attacker on their core, the
# hardest of floods shows when it is sent to nobody.

HOSTILE_AGENTS=200
HOSTILE_A_GROUP=50
HOSTILE_SECONDS=20
HOSTILE_CHANGES='change 0.7/s' # far enough from each other that none waits for another's pause
HOSTILE_TALK='signal 100/s relay 200/s stun 50/s'
HOSTILE_ATTACKS=(
    management:loris signal:loris relay:loris-relay
    management:handshakes signal:handshakes relay:handshakes
    management:reset management:ping management:settings management:continuation management:hpack
    management:keyupdate
    relay:auth stun:stun-100 stun:stun nobody:stun
)

bench_hostile() {
    taskset -cp "$SERVER_CORE" "$BASHPID" >/dev/null
    each_round round_hostile
}

# hostile_scenario AGENTS RATES: quiet, attacked, quiet, attacked, ..., quiet, with a second in between in which the attack
# begins or ends, as two fleets are not done at the same moment.
hostile_scenario() {
    local i

    printf 'agents %d\ngroups %d\njoin within 5m\n' "$1" $(($1 / HOSTILE_A_GROUP))
    for ((i = 0; i <= 2 * ${#HOSTILE_ATTACKS[@]}; i++)); do
        printf 'run for %ds %s\nrun for 1s\n' $HOSTILE_SECONDS "$2"
    done
    printf 'verify\nleave\n'
}

# hostile_config SERVICE NUMBER: one loop, as there is one core. STUN answers in the kernel, as is advised where floods are to
# be feared (docs/operations.md), if this machine lets it.
hostile_config() {
    service_config "$1" "$2" | sed -e "s,^listen = 127.0.0.1:,listen = $SERVER:," \
        -e "s,^signal_url = .*,signal_url = https://$SERVER:$(port_of signal 1),"
    case $1 in
    relay | stun) printf 'loops = 1\n' ;;
    esac
    [ "$1 $ROOKERY_BENCH_STEERED" != 'stun yes' ] || printf 'xdp = bench0\nxdp_mode = driver\n'
}

hostile_start() {
    local name

    instance_up 1
    HOST=$SERVER TLS=yes
    tls_prepare "$(tls_alt_names)"
    services_secrets
    while read -r name; do
        hostile_config "${name%-*}" "${name##*-}" >"$DIR/conf/$name.conf"
    done < <(service_names)
    cluster_launch
    cluster_wait
    API_URL=http://$SERVER:$(port_of dashboard-api 1) API_OPTIONS=() API_ADVICE=("see $DIR/log")
    bootstrap 2>/dev/null
    cluster_without_default
    [ "$ROOKERY_BENCH_STEERED" != yes ] || (as_agents "$BIN/bench-cable" bench1 card)
    taskset -cp "$LOAD_CORE" "$BASHPID" >/dev/null # what looks on from here does so beside the agents
}

# hostile_fleet NUMBER RATES AGENTS: agents of a higher number go before the others.
hostile_fleet() {
    local i=$1 FLEET_AS=(as_agents)

    ! chrt -f 1 true 2>/dev/null || FLEET_AS+=(chrt -f "$i")
    hostile_scenario "$3" "$2" >"$OUT/hostile-scenario-$i"
    FLEET_FILES+=("$OUT/log/fleet-$i")
    fleet_run "$i" "https://$SERVER:$(port_of management 1)" "$API_URL" "$OUT/hostile-scenario-$i" --ca "$DIR/ca.pem"
}

# hostile_runs_done N: by every fleet that has not ended.
hostile_runs_done() {
    local i

    for i in "${!FLEETS[@]}"; do
        [ "$(grep -c '^run ' "${FLEET_FILES[i]}.log")" -ge "$1" ] || ! kill -0 "${FLEETS[i]}" 2>/dev/null || return 1
    done
}

hostile_fleets_live() {
    local i

    for i in "${!FLEETS[@]}"; do
        kill -0 "${FLEETS[i]}" 2>/dev/null || die "the agents have ended: $(tail -n 1 "${FLEET_FILES[i]}.log")"
    done
}

# hostile_attack SERVICE KIND RUNS: until the agents have done so many runs.
hostile_attack() {
    local service=$1 kind=$2 target=$NOBODY pid

    [ "$service" = nobody ] || target=$SERVER:$(port_of "$service" 1)
    (
        raise_file_limit
        as_agents chrt -i 0 "$BIN/bench-hostile" "$target" "$kind" "${AGENT%.*}.20"
    ) >"$OUT/log/attack" 2>"$OUT/log/attack.log" &
    pid=$!
    wait_until 120 hostile_runs_done "$3" || die "the agents do not come to an end under $kind"
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" || {
        cat "$OUT/log/attack.log" >&2
        die "the attack $kind on $service failed"
    }
    figures hostile "$service-$kind" ours <"$OUT/log/attack"
}

round_hostile() {
    local agents=${AGENTS:-$HOSTILE_AGENTS} i

    need_room "$agents" 1 1 "one of each service"
    hostile_start
    note "$agents agents join"
    FLEETS=() FLEET_FILES=()
    hostile_fleet 1 "$HOSTILE_CHANGES" $((agents / 2))
    hostile_fleet 2 "$HOSTILE_TALK" $((agents / 2))
    for i in "${!HOSTILE_ATTACKS[@]}"; do
        wait_until 400 hostile_runs_done $((4 * i + 1)) || die "the agents do not come to an end"
        hostile_fleets_live
        note "${HOSTILE_ATTACKS[i]}"
        hostile_attack "${HOSTILE_ATTACKS[i]%:*}" "${HOSTILE_ATTACKS[i]#*:}" $((4 * i + 3))
    done
    fleets_figures hostile_steps
    hostile_ratios
    instance_down
    [ "$ROOKERY_BENCH_STEERED" != yes ] || (as_agents "$BIN/bench-cable" bench1 plain)
}

hostile_ratios() {
    figures_awk hostile -v attacks="${HOSTILE_ATTACKS[*]}" "$FIGURES" >"$OUT/hostile-ratios" ||
        die "hostile: something did not arrive at all"
    sed -i '/^hostile_steps\t/d' "$FIGURES"
    cat "$OUT/hostile-ratios" >>"$FIGURES"
}
