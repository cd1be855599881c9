# Agents come and go, signal and relay, and groups change, much faster than in life; memory and descriptors of every replica are
# looked at all the while, and must not grow. `--minutes N` is how long.

SOAK_REPLICAS=2
SOAK_AGENTS=400
SOAK_A_GROUP=20
SOAK_LOOK_S=5

bench_soak() {
    local agents=${AGENTS:-$SOAK_AGENTS} scenario=$OUT/soak-scenario samples=$OUT/log/soak.tsv

    cluster_start $SOAK_REPLICAS yes "$agents"
    sed "s/^run for 20m/run for ${MINUTES}m/" "$BENCH/fleet/scenarios/soak" >"$scenario"
    fleet_start "$scenario" "$agents" $((agents / SOAK_A_GROUP))
    fleets_wait_for join 600
    note "looking at every replica for $MINUTES minutes"
    : >"$samples"
    while kill -0 "${FLEETS[0]}" 2>/dev/null && ! fleets_have run; do
        soak_look >>"$samples"
        sleep $SOAK_LOOK_S
    done
    fleets_figures soak
    soak_slopes "$samples" | figures soak - ours
    instance_down
}

# A line for each replica: when, which, private bytes, descriptors.
soak_look() {
    local name pid now

    now=$(now_ms)
    while read -r name; do
        pid=$(process_pid "$name") || die "$name has ended"
        printf '%s\t%s\t%s\t%s\n' "$now" "$name" "$(private_bytes "$pid")" \
            "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)"
    done < <(service_names)
}

# A straight line through the samples of each tier, all its replicas together as agents move between them, but for those of the first
# third, when caches fill: growth by the hour, in percent of what there is on average.
soak_slopes() {
    awk -F'\t' '
        {
            sub(/-[0-9]+$/, "", $2)
            tier[$2]
            if (!($1 in seen))
                at[++looks] = $1
            seen[$1]
            sum[$1, $2, "bytes"] += $3
            sum[$1, $2, "descriptors"] += $4
        }
        function percent(name, what,    i, n, t, v, st, stt, s, sty, d) {
            for (i = int(looks / 3) + 1; i <= looks; i++) {
                t = (at[i] - at[1]) / 3600000
                v = sum[at[i], name, what]
                n++
                st += t
                stt += t * t
                s += v
                sty += t * v
            }
            d = n * stt - st * st
            mean = s / n
            return d > 0 && mean > 0 ? 100 * (n * sty - st * s) / d / mean : 0
        }
        END {
            for (name in tier) {
                print name "/descriptors_percent_h", percent(name, "descriptors")
                print name "/bytes_percent_h", percent(name, "bytes")
                print name "/bytes", mean
            }
        }' "$1"
}
