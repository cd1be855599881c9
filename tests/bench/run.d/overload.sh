# Agents are started anew at a growing rate, until several times more come than the servers can take: what they get done must not
# fall, and what is done must not cost more. One replica of everything, or as many as so many agents need.

OVERLOAD_AGENTS=12000
OVERLOAD_A_GROUP=50

bench_overload() {
    each_round round_overload
}

round_overload() {
    local agents=${AGENTS:-$OVERLOAD_AGENTS}

    cluster_start "$(replicas_for "$agents" 1)" no "$agents"
    note "$agents agents join, and are started anew"
    fleet_start "$BENCH/fleet/scenarios/overload" "$agents" $((agents / OVERLOAD_A_GROUP)) \
        --watch "$(cluster_processes)"
    fleets_figures overload
    overload_rates | figures overload - ours
    instance_down
}

# By the last figures of each step of the scenario that is a run: how many came online a second, and what one of them cost.
overload_rates() {
    awk -F'\t' '
        $1 == "overload" && $2 ~ /-run$/ {
            if ($4 == "online_count" && !($2 in count))
                order[++steps] = $2
            if ($4 == "online_count")
                count[$2] = $5
            if ($4 == "seconds")
                seconds[$2] = $5
            if ($4 == "servers_cpu_s")
                cpu[$2] = $5
        }
        END {
            for (i = 1; i <= steps; i++) {
                s = order[i]
                rate = count[s] / seconds[s]
                if (rate > peak)
                    peak = rate
                print s "/per_s", rate
                print s "/cpu_us", cpu[s] * 1e6 / count[s]
            }
            print "last/of_peak", rate / peak
        }' "$FIGURES"
}
