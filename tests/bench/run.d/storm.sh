# Every replica of everything is killed at once, with all agents connected, and started again half a second later; in the
# clear, and over TLS.

STORM_REPLICAS=2
STORM_AGENTS=5000
STORM_A_GROUP=50 # agents that see each other
STORM_DARK_S=0.5

bench_storm() {
    local round

    for ((round = 0; round < ROUNDS; round++)); do
        round_storm storm
        over_tls round_storm storm_tls
    done
}

# round_storm BENCHMARK: what its figures are called.
round_storm() {
    local agents=${AGENTS:-$STORM_AGENTS}

    cluster_start "$(replicas_for "$agents" $STORM_REPLICAS)" no "$agents"
    note "$agents agents join"
    fleet_start "$BENCH/fleet/scenarios/outage" "$agents" $((agents / STORM_A_GROUP))
    fleets_wait_for join 600
    note "all replicas are killed"
    cluster_kill
    sleep $STORM_DARK_S
    cluster_launch
    cluster_wait
    fleets_figures "$1"
    instance_down
}
