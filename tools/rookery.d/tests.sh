# `rookery test` and `rookery bench`: what CI runs, and each part of it alone.

TESTS_PASSED=0
TESTS_FAILED=0
REPORT=$ROOT/build/test
UNDER=() # what ctest runs under

# part NAME COMMAND...: runs one part; what it counted is added by the part itself, and a part that fails without
# having counted a failure counts as one.
part() {
    local name=$1 failed_before=$TESTS_FAILED code=0

    shift
    printf '== %s\n' "$name"
    "$@" || code=$?
    if [ $code -ne 0 ] && [ "$TESTS_FAILED" -eq "$failed_before" ]; then
        TESTS_FAILED=$((TESTS_FAILED + 1))
    fi
    [ $code -eq 0 ] || printf '== %s FAILED\n' "$name"
}

count() {
    TESTS_PASSED=$((TESTS_PASSED + $1))
    TESTS_FAILED=$((TESTS_FAILED + $2))
}

# build_or_fail PRESET: everything of a preset, tests included. A subshell, because a failed build ends the caller.
build_or_fail() {
    note "building preset $1"
    (build_preset "$@")
}

test_check() {
    build_or_fail dev && "$ROOT/tools/check" "$ROOT/build/dev" || return 1
    count 1 0
}

# Private stores for the unit tests that speak to a real Postgres or Redis. In a subshell: it changes the instance.
with_stores() {
    (
        # shellcheck disable=SC2030
        instance_open "$REPORT/stores"
        instance_make_dirs
        instance_lock
        trap 'stores_stop; stores_wipe; [ "$RUN" = "$DIR/run" ] || rm -rf "${RUN:?}"; rm -rf "${DIR:?}"' EXIT
        stores_start
        export RK_TEST_POSTGRES RK_TEST_REDIS
        RK_TEST_POSTGRES=$(postgres_conninfo)
        RK_TEST_REDIS=$(redis_uri)
        "$@"
    )
}

# unit_tests PRESET: all of ctest, which holds the unit tests and the replay of the fuzz corpora.
unit_tests() {
    local preset=$1 log="$REPORT/ctest-$1.log" code=0 failed total

    build_or_fail "$preset" || return 1
    with_stores "${UNDER[@]}" ctest --test-dir "$ROOT/build/$preset" --output-on-failure --parallel "$(nproc)" \
        --no-tests=error >"$log" 2>&1 || code=$?
    grep -vE '^ *(Start +[0-9]+:|[0-9]+/[0-9]+ Test .* Passed )' "$log" || true
    read -r failed total < <(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\1 \2/p' "$log") || true
    if [ -z "${total:-}" ]; then
        return 1
    fi
    count $((total - failed)) "$failed"
    return $code
}

# The newest tool chain the system tests can use: any go from 1.25 on, else the distribution's backport, which fetches
# the version that go.mod names.
find_go() {
    local go version

    for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
        [ -n "$go" ] && [ -x "$go" ] || continue
        version=$(cd / && GOTOOLCHAIN=local "$go" env GOVERSION 2>/dev/null) || continue
        if printf 'go1.25\n%s\n' "$version" | sort -CV; then
            printf '%s' "$go"
            return
        fi
    done
    return 1
}

# The host of the existing sources serves the backports too.
add_backports() {
    local codename site

    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
    # shellcheck disable=SC2016
    if apt-get indextargets --format '$(CODENAME)' | grep -qx "$codename-backports"; then
        return
    fi
    # shellcheck disable=SC2016
    site=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' | awk -v c="$codename" '$1 == c { print $2; exit }')
    [ -n "$site" ] || die "no apt source for $codename was found" "install Go 1.25 or later by hand"
    note "adding the source $codename-backports"
    printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\nSigned-By: %s\n' "$site" "$codename" \
        /usr/share/keyrings/debian-archive-keyring.gpg |
        as_root tee "/etc/apt/sources.list.d/$codename-backports.sources" >/dev/null
}

need_go() {
    local codename

    GO=$(find_go) && return
    can_be_root || die "the system tests need Go 1.25 or later" "install it, or run this as root once"
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
    add_backports
    note "installing Go from $codename-backports"
    apt_quiet update && apt_quiet install --no-install-recommends -t "$codename-backports" golang-go ||
        die "Go could not be installed" "install Go 1.25 or later by hand"
    GO=$(command -v go) || die "golang-go gave no go program" "install Go 1.25 or later by hand"
    # Older than wanted: it fetches the version that go.mod asks for.
    export GOTOOLCHAIN=auto
}

# system_tests ARGS...: the instance they start uses the build of $PRESET. Their last line sums them up.
system_tests() {
    local log="$REPORT/system-$PRESET.log" code=0 passed failed

    [ -x "$ROOT/tests/system/run" ] || {
        printf 'tests/system/run is not there\n' >&2
        return 1
    }
    need_go
    (build_services) || return 1
    GO=$GO ROOKERY_PRESET=$PRESET "$ROOT/tests/system/run" "$@" 2>&1 | tee "$log" || code=$?
    read -r passed failed < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log" | tail -n 1) || true
    if [ -z "${failed:-}" ]; then
        return 1
    fi
    count "$passed" "$failed"
    return $code
}

# fuzz_all SECONDS: each target from its corpus; new inputs stay in the build directory.
fuzz_all() {
    local seconds=$1 target name out code=0

    build_or_fail fuzz || return 1
    for target in "$ROOT"/build/fuzz/fuzz_*; do
        [ -f "$target" ] && [ -x "$target" ] || continue
        name=${target##*/}
        out="$ROOT/build/fuzz/found/$name"
        mkdir -p "$out/corpus"
        if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
            -artifact_prefix="$out/" "$out/corpus" "$ROOT/tests/fuzz/${name#fuzz_}/corpus" >"$out/log" 2>&1; then
            printf '%s: %s runs in %s s, no finding\n' "$name" \
                "$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/log")" "$seconds"
            count 1 0
        else
            tail -n 40 "$out/log"
            printf '%s: FINDING, input and log are in %s\n' "$name" "$out"
            count 0 1
            code=1
        fi
    done
    return $code
}

# Sanitizers write what they find beside the build, whoever started the process and wherever its output went.
asan_all() {
    local reports="$ROOT/build/asan/reports"

    rm -rf "$reports"
    mkdir -p "$reports"
    export ASAN_OPTIONS="log_path=$reports/asan:detect_stack_use_after_return=1:strict_string_checks=1"
    export UBSAN_OPTIONS="log_path=$reports/ubsan:print_stacktrace=1"
    part "unit tests, address and undefined-behaviour sanitizers" unit_tests asan
    PRESET=asan
    part "system tests, address and undefined-behaviour sanitizers" system_tests "$@"
    part "sanitizer reports" no_reports "$reports"
}

no_reports() {
    if [ -n "$(ls -A "$1")" ]; then
        head -n 60 "$1"/*
        return 1
    fi
}

tsan_all() {
    # Newer kernels scatter addresses more widely than this sanitizer's shadow memory allows.
    ! setarch -R true 2>/dev/null || UNDER=(setarch -R)
    export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1"
    part "unit tests, thread sanitizer" unit_tests tsan
}

cmd_test() {
    local what=${1:-all} seconds=${FUZZ_SECONDS:-10}

    [ $# -eq 0 ] || shift
    if [ "$what" = fuzz ] && [ "${1:-}" = --seconds ]; then
        seconds=${2:-}
        [[ $seconds =~ ^[0-9]+$ ]] || die "--seconds needs a number"
        shift 2
    fi
    case $what in
    all | check | unit | fuzz | tsan) [ $# -eq 0 ] || die "rookery test $what does not know '$1'" "see: rookery help" ;;
    esac
    need_packages up test
    mkdir -p "$REPORT"
    case $what in
    all)
        part "layout and style" test_check
        part "unit tests and fuzz corpora" unit_tests dev
        part "system tests" system_tests
        ;;
    check) part "layout and style" test_check ;;
    unit) part "unit tests and fuzz corpora" unit_tests dev ;;
    system) part "system tests" system_tests "$@" ;;
    fuzz) part "fuzzing" fuzz_all "$seconds" ;;
    asan) asan_all "$@" ;;
    tsan) tsan_all ;;
    *) die "there is no test '$what'" "there are: check unit system fuzz asan tsan" ;;
    esac
    printf '%d passed, %d failed\n' "$TESTS_PASSED" "$TESTS_FAILED"
    [ "$TESTS_FAILED" -eq 0 ]
}

cmd_bench() {
    [ -x "$ROOT/tests/bench/run" ] || die "tests/bench/run is not there"
    need_packages up test
    build_services
    exec "$ROOT/tests/bench/run" "$@"
}
