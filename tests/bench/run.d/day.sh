# A day of a company, ours and stock: one replica of everything, straight at the agents. All that serves them counts.

DAY_AGENTS=2000
DAY_A_GROUP=50

round_day_ours() {
    cluster_start 1 no "$1"
    fleet_start "$BENCH/fleet/scenarios/mixed" "$1" $(($1 / DAY_A_GROUP)) --watch "$(cluster_processes)"
    fleets_figures day ours
    instance_down
}

round_day_stock() {
    need_room "$1" 3 1 "the stock server"
    start_stock_management 127.0.0.1
    setup_token 22090
    FLEETS=() FLEET_FILES=("$OUT/log/fleet-1")
    fleet_run 1 http://127.0.0.1:22090 http://127.0.0.1:22090 "$BENCH/fleet/scenarios/mixed" --agents "$1" \
        --groups $(($1 / DAY_A_GROUP)) --watch "${PID[stock_management]}"
    fleets_figures day stock
    stop stock_management
}

# day_whole SUBJECT: what all steps of this round's day have cost.
day_whole() {
    awk -v subject="$1" -f "$BENCH/day.awk" "$FIGURES" | figures day whole "$1"
}

bench_day() {
    local round pinned=$PIN agents=${AGENTS:-$DAY_AGENTS}

    PIN=no
    for ((round = 0; round < ROUNDS; round++)); do
        note "$agents agents (ours)"
        round_day_ours "$agents"
        day_whole ours
        [ "$STOCK" = yes ] || continue
        note "$agents agents (stock)"
        round_day_stock "$agents"
        day_whole stock
    done
    PIN=$pinned
}
