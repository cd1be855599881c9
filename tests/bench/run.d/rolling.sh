# A rolling restart of all tiers behind haproxy, one replica after the other, with agents connected and an administrator at work.

ROLLING_REPLICAS=2
ROLLING_AGENTS=2000
ROLLING_A_GROUP=50

bench_rolling() {
    each_round round_rolling
}

round_rolling() {
    local agents=${AGENTS:-$ROLLING_AGENTS} begun

    cluster_start $ROLLING_REPLICAS yes "$agents"
    note "$agents agents join"
    fleet_start "$BENCH/fleet/scenarios/rolling" "$agents" $((agents / ROLLING_A_GROUP))
    fleets_wait_for run 700
    note "every replica is restarted, one after the other"
    begun=$(now_ms)
    while read -r name; do
        service_restart "$name"
    done < <(service_names)
    printf 'seconds %s\n' "$((($(now_ms) - begun) / 1000))" | figures rolling restarts ours
    [ "$(grep -c '^run ' "$OUT/log/fleet-1.log")" = 1 ] || die "the agents' run was over before the restarts were" \
        "make it longer in $BENCH/fleet/scenarios/rolling"
    fleets_figures rolling
    instance_down
}
