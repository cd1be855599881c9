# One measured round after the other, and what they ran on.

# Whether idle cores can be told to poll. In a virtual machine a core that halts is woken at the price of a way through
# the hypervisor, which the waker pays: the servers would pay it for their agents, who are on another host in use.
AWAKE=no
! (: >/dev/cpu_dma_latency) 2>/dev/null || AWAKE=yes

# Until the calling shell and what it runs have ended.
keep_awake() {
    [ "$LOOPBACK" = yes ] || {
        exec {awake}>/dev/cpu_dma_latency
        printf '\0\0\0\0' >&"$awake"
    }
}

# each_round COMMAND...: in every round of a benchmark that has but one thing to do.
each_round() {
    local round

    for ((round = 0; round < ROUNDS; round++)); do
        "$@"
    done
}

# measure BENCHMARK CASE SUBJECT COMMAND...: runs a load generator; each "name value" it prints becomes a row of the
# figures; where the name is CASE/NAME, the generator itself says which case it is. A generator that fails ends
# everything: a figure from a run that went wrong is worse than none.
measure() {
    local benchmark=$1 case=$2 subject=$3 out

    shift 3
    out=$(
        raise_file_limit
        [ "$AWAKE" = no ] || keep_awake
        as_agents "$@" 2>"$OUT/log/load.log"
    ) || {
        cat "$OUT/log/load.log" >&2
        die "$benchmark $case ($subject) failed: $*"
    }
    figures "$benchmark" "$case" "$subject" <<<"$out"
}

# figures BENCHMARK CASE SUBJECT: from lines "name value".
figures() {
    awk -v benchmark="$1" -v case="$2" -v subject="$3" -v OFS='\t' '{
        split($1, part, "/")
        if (part[2] == "")
            print benchmark, case, subject, $1, $2
        else
            print benchmark, part[1], subject, part[2], $2
    }' >>"$FIGURES"
}

# Of all cores, since the machine started: all, and those that the hypervisor gave to others (steal).
core_ticks() {
    awk '$1 == "cpu" { print $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9, $9 }' /proc/stat
}

# In %, since BEGUN_AT_TICKS. Tails of a run in which it is more than a few tenths say more of the host than of us.
host_kept() {
    printf '%s %s\n' "$BEGUN_AT_TICKS" "$(core_ticks)" | awk '{ printf "%.1f", 100 * ($4 - $2) / ($3 - $1) }'
}

cpu_model() {
    sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1
}

memory_gib() {
    awk '/^MemTotal:/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo
}

distribution() {
    # shellcheck source=/dev/null
    (. /etc/os-release && printf '%s' "$PRETTY_NAME")
}

machine() {
    printf '\n%s, %s cores, %s GiB, %s, kernel %s, %s, TCP %s, load %s\n' "$(cpu_model)" "$(nproc --all)" \
        "$(memory_gib)" "$(distribution)" "$(uname -r)" "$(gcc --version | head -n 1)" \
        "$(cat /proc/sys/net/ipv4/tcp_congestion_control)" "$(cut -d' ' -f1-3 /proc/loadavg)"
    printf 'the receiving half of the kernel'"'"'s work on the core of who receives: %s; idle cores kept awake: %s\n' \
        "$ROOKERY_BENCH_STEERED" "$AWAKE"
    printf 'of the cores'"'"' time the host kept %s %%\n' "$(host_kept)"
    printf 'rounds: %s; median, and in brackets the lowest and the highest\n\n' "$ROUNDS"
}

machine_json() {
    printf '{"cpu":%s,"cores":%s,"memory_gib":%s,"system":%s,"kernel":%s,"congestion_control":%s,"steered":%s,"awake":%s,"host_kept_percent":%s,"rounds":%s,' \
        "$(json_string "$(cpu_model)")" "$(nproc --all)" "$(memory_gib)" "$(json_string "$(distribution)")" \
        "$(json_string "$(uname -r)")" "$(json_string "$(cat /proc/sys/net/ipv4/tcp_congestion_control)")" \
        "$(json_string "$ROOKERY_BENCH_STEERED")" "$(json_string "$AWAKE")" "$(host_kept)" "$ROUNDS"
}
