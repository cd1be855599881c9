# Fuzzing: each target for a given time, as many at once as there are cores.

fuzz_targets() {
    local source name

    for source in "$ROOT"/tests/fuzz/*/fuzz_*.c; do
        name=${source##*/}
        printf '%s\n' "${name%.c}"
    done
}

# fuzz_one SECONDS TARGET: from the target's corpus; what it finds and learns stays in the build directory. Nothing that
# is decoded may ask for much memory at once: the length that it names has not been seen yet.
fuzz_one() {
    local seconds=$1 target=$2 out="$ROOT/build/fuzz/found/$2" runs

    mkdir -p "$out/corpus"
    if ASAN_OPTIONS=detect_leaks=1 "$ROOT/build/fuzz/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -malloc_limit_mb=256 -print_final_stats=1 -artifact_prefix="$out/" "$out/corpus" "$ROOT/tests/fuzz/${target#fuzz_}/corpus" \
        >"$out/log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/log")
        printf '%-26s %12s runs in %s s, no finding\n' "$target" "${runs:-?}" "$seconds"
    else
        printf '%-26s FINDING: its input and log are in %s\n' "$target" "$out"
        : >"$out/failed"
        return 1
    fi
}

# fuzz_all SECONDS [TARGET...]
fuzz_all() {
    local seconds=$1 target code=0 running=0 targets=()

    shift
    mapfile -t targets < <(fuzz_targets)
    [ $# -eq 0 ] || targets=("$@")
    build_or_fail fuzz "${targets[@]}" || return 1
    rm -f "$ROOT"/build/fuzz/found/*/failed
    printf '%d targets, %s s each, %d at a time\n' "${#targets[@]}" "$seconds" "$(nproc)"
    for target in "${targets[@]}"; do
        if [ "$running" -ge "$(nproc)" ]; then
            wait -n || true
            running=$((running - 1))
        fi
        fuzz_one "$seconds" "$target" &
        running=$((running + 1))
    done
    wait
    for target in "${targets[@]}"; do
        if [ -e "$ROOT/build/fuzz/found/$target/failed" ]; then
            fuzz_report "$target"
            count 0 1
            code=1
        else
            count 1 0
        fi
    done
    return $code
}

# What the sanitizer said, without the stack of the fuzzer itself.
fuzz_report() {
    local log="$ROOT/build/fuzz/found/$1/log"

    printf -- '--- %s\n' "$1"
    grep -vE '^(INFO|#[0-9]+\s+(NEW|REDUCE|RELOAD|pulse))' "$log" | head -n 40
    failure "$1" "$(grep -E '^SUMMARY|Test unit written|Assertion' "$log")"
}

# cmd_fuzz_options ARGS...: [SECONDS | --seconds N] [TARGET...]; sets FUZZ_FOR and FUZZ_TARGETS.
fuzz_options() {
    FUZZ_FOR=${FUZZ_SECONDS:-10}
    FUZZ_TARGETS=()
    while [ $# -gt 0 ]; do
        case $1 in
        --seconds)
            FUZZ_FOR=${2:-}
            shift
            ;;
        --seconds=*) FUZZ_FOR=${1#*=} ;;
        [0-9]*) FUZZ_FOR=$1 ;;
        *)
            [ -d "$ROOT/tests/fuzz/${1#fuzz_}" ] || die "there is no fuzz target '$1'" \
                "there are: $(fuzz_targets | sed 's/^fuzz_//' | tr '\n' ' ')"
            FUZZ_TARGETS+=("fuzz_${1#fuzz_}")
            ;;
        esac
        shift
    done
    [[ $FUZZ_FOR =~ ^[1-9][0-9]*$ ]] || die "fuzzing needs a number of seconds, not '$FUZZ_FOR'" \
        "for example:  $ROOT/rookery test fuzz 600"
}
