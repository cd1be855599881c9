# Every replica of everything is killed at once, with all agents connected, and started again half a second later.

STORM_REPLICAS=2
STORM_AGENTS=5000
STORM_A_GROUP=50 # agents that see each other
STORM_DARK_S=0.5

bench_storm() {
    each_round round_storm
}

round_storm() {
    local agents=${AGENTS:-$STORM_AGENTS}

    cluster_start $STORM_REPLICAS no
    note "$agents agents join"
    fleets_start "$BENCH/fleet/scenarios/outage" "$agents" $((agents / STORM_A_GROUP))
    fleets_wait_for join 600
    note "all replicas are killed"
    cluster_kill
    sleep $STORM_DARK_S
    cluster_launch
    cluster_wait
    fleets_figures storm
    instance_down
}
