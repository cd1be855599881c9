# `rookery test` and `rookery bench`: what CI runs, and each part of it alone.

TESTS_PASSED=0
TESTS_FAILED=0
BUILT_S=0       # seconds of the current part that went into building
PART_LINES=()   # for the summary: a line for each part
FAILURES=()     # for the summary: each test that failed, with what it said
REPORT=$ROOT/build/test
UNDER=() # what tests run under

# part NAME COMMAND...: runs one part; what it counted is added by the part itself, and a part that fails without
# having counted a failure counts as one.
part() {
    local name=$1 passed_before=$TESTS_PASSED failed_before=$TESTS_FAILED code=0 start=$SECONDS verdict=ok

    shift
    BUILT_S=0
    printf '== %s\n' "$name"
    "$@" || code=$?
    if [ $code -ne 0 ] && [ "$TESTS_FAILED" -eq "$failed_before" ]; then
        TESTS_FAILED=$((TESTS_FAILED + 1))
        failure "$name" "see its output above"
    fi
    [ $code -eq 0 ] || {
        verdict=FAILED
        printf '== %s FAILED\n' "$name"
    }
    PART_LINES+=("$(printf '%6d s  (building %d s)  %-6s  %d passed, %d failed: %s' $((SECONDS - start)) "$BUILT_S" \
        "$verdict" $((TESTS_PASSED - passed_before)) $((TESTS_FAILED - failed_before)) "$name")")
}

count() {
    TESTS_PASSED=$((TESTS_PASSED + $1))
    TESTS_FAILED=$((TESTS_FAILED + $2))
}

# failure TEST TEXT: remembered for the end, where it is seen.
failure() {
    FAILURES+=("$1"$'\n'"$(sed '/^[[:space:]]*$/d; s/^[[:space:]]*/    /' <<<"$2" | cut -c1-300)")
}

summary() {
    local item

    printf '== time\n'
    printf '%s\n' "${PART_LINES[@]}"
    if [ ${#FAILURES[@]} -gt 0 ]; then
        printf '== failed\n'
        for item in "${FAILURES[@]}"; do
            printf '%s\n' "$item"
        done
    fi
    printf '%d passed, %d failed\n' "$TESTS_PASSED" "$TESTS_FAILED"
}

# build_or_fail PRESET [TARGET...]: everything of a preset, tests included. A subshell, because a failed build ends
# the caller.
build_or_fail() {
    local start=$SECONDS code=0

    note "building preset $1"
    (build_preset "$@") || code=$?
    BUILT_S=$((BUILT_S + SECONDS - start))
    return $code
}

# test_check PRESET: the headers that are made come from that build.
test_check() {
    local preset=$1 log="$REPORT/check.log" code=0

    build_or_fail "$preset" || return 1
    "$ROOT/tools/check" "$ROOT/build/$preset" >"$log" || code=1
    head -n 200 "$log"
    if [ $code -ne 0 ]; then
        count 0 1
        failure "layout and style" "$(head -n 20 "$log")"
        return 1
    fi
    count 1 0
}

# The tests that speak to a real Postgres start one each, on a copy of what is made here once: initdb is a second's work.
# A subshell, whose end removes it.
with_database_image() {
    (
        PG_BIN=$(postgres_bin)
        image=$(mktemp -d)
        trap 'rm -rf "$image"' EXIT
        [ "$(id -u)" -ne 0 ] || chown postgres "$image"
        export RK_TEST_POSTGRES_IMAGE=$image/data
        (cd / && as_database_user "$PG_BIN/initdb" -D "$RK_TEST_POSTGRES_IMAGE" -U rookery -A trust -N -E UTF8 --locale=C) \
            >"$REPORT/initdb.log" 2>&1 || die "initdb failed" "see $REPORT/initdb.log"
        "$@"
    )
}

# unit_tests PRESET: all of ctest, which holds the unit tests and the replay of the fuzz corpora.
unit_tests() {
    local preset=$1 log="$REPORT/ctest-$1.log" code=0 failed total name

    build_or_fail "$preset" || return 1
    with_database_image "${UNDER[@]}" ctest --test-dir "$ROOT/build/$preset" --output-on-failure --parallel "$(nproc)" \
        --no-tests=error >"$log" 2>&1 || code=$?
    ctest_failures "$log" >"$log.failed"
    while IFS= read -r name; do
        printf -- '--- FAIL: %s\n' "$name"
        ctest_output "$log" "$name" | tail -n 60
        failure "$name" "$(ctest_output "$log" "$name" | ctest_reason)"
    done <"$log.failed"
    read -r failed total < <(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\1 \2/p' "$log") || true
    if [ -z "${total:-}" ]; then
        tail -n 30 "$log"
        return 1
    fi
    sed -n '/ tests passed, /p; /sec\*proc/p; /^Total Test time/p' "$log"
    count $((total - failed)) "$failed"
    return $code
}

# Names of the tests that failed, from ctest's log.
ctest_failures() {
    sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) .*\*\*\*.*/\1/p' "$1"
}

# ctest_output LOG TEST: what the failed test wrote, and ctest's verdict above it.
ctest_output() {
    awk -v name="$2" '
        /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / { on = ($4 == name && index($0, "***")) }
        /^ +Start +[0-9]+: / || /^[0-9]+% tests passed/ { on = 0 }
        on' "$1"
}

# The lines that say what did not hold; without any, the end.
ctest_reason() {
    local all said

    all=$(cat)
    said=$(grep -E '\*\*\*|\[  ERROR   \]|\[   LINE   \]|: Assertion |^SUMMARY: |runtime error|Test failed' <<<"$all" |
        grep -v ' FAILED TEST' | head -n 12) || true
    if [ "$(grep -c . <<<"$said")" -gt 1 ]; then
        printf '%s\n' "$said"
    else
        tail -n 8 <<<"$all"
    fi
}

# system_tests ARGS...: the instance they start uses the build of $PRESET. Their last line sums them up.
system_tests() {
    local log="$REPORT/system-$PRESET.log" code=0 passed failed start line name= said=

    need_go
    start=$SECONDS
    (build_services) || return 1
    BUILT_S=$((BUILT_S + SECONDS - start))
    rm -rf "$REPORT/system-$PRESET"
    GO=$GO ROOKERY_PRESET=$PRESET ROOKERY_TEST_LOGS=$REPORT/system-$PRESET "${UNDER[@]}" \
        "$ROOT/tests/system/run" "$@" 2>&1 | tee "$log" || code=$?
    read -r passed failed < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log" | tail -n 1) || true
    if [ -z "${failed:-}" ]; then
        return 1
    fi
    count "$passed" "$failed"
    # "FAILED Name" and, indented, what it said: the list at the end of the run.
    while IFS= read -r line; do
        case $line in
        'FAILED '*)
            [ -z "$name" ] || failure "$name" "$said"
            name=${line#FAILED } said=
            ;;
        '    '*) said+=$line$'\n' ;;
        esac
    done < <(sed -n '/^FAILED /,$p' "$log")
    [ -z "$name" ] || failure "$name" "$said"
    return $code
}

# The Debian package, as dpkg and systemd take it.
package_test() {
    local log="$REPORT/package.log" code=0 start=$SECONDS

    (build_services) || return 1
    BUILT_S=$((BUILT_S + SECONDS - start))
    "$ROOT/tests/package/run" "$ROOT/build/$PRESET" 2>"$log" || code=$?
    count $((code == 0)) $((code != 0))
    [ $code -eq 0 ] || failure "package" "$(cat "$log")"
    return $code
}

# helm_tests ARGS...: the chart; the rest goes to go test. Their last line sums them up.
helm_tests() {
    local log="$REPORT/helm.log" code=0 passed failed start=$SECONDS

    need_go
    (build_services) || return 1
    BUILT_S=$((BUILT_S + SECONDS - start))
    GO=$GO "$ROOT/tests/helm/run" "$ROOT/build/$PRESET" "$@" 2>&1 | tee "$log" || code=$?
    read -r passed failed < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log" | tail -n 1) || true
    [ -n "${failed:-}" ] || return 1
    count "$passed" "$failed"
    [ $code -eq 0 ] || failure "helm" "$(sed -n '/^FAILED /,$p' "$log")"
    return $code
}

# Random accounts, here and on the stock server. Without one there is nothing to compare, and that is a failure.
differential_tests() {
    local log="$REPORT/differential.log" code=0 start=$SECONDS

    need_go
    (build_services) || return 1
    BUILT_S=$((BUILT_S + SECONDS - start))
    GO=$GO ROOKERY_TEST_LOGS=$REPORT/differential "$ROOT/tests/system/differential/run" "$@" >"$log" 2>&1 || code=$?
    if [ $code -ne 0 ]; then
        tail -n 200 "$log"
        count 0 1
        failure "differential" "$(tail -n 20 "$log")"
        return 1
    fi
    tail -n 1 "$log"
    count 1 0
}

# schemathesis_tests [SECONDS]: the REST API against its own description, for ten minutes.
schemathesis_tests() {
    local log="$REPORT/schemathesis.log" code=0 start=$SECONDS

    (build_services) || return 1
    BUILT_S=$((BUILT_S + SECONDS - start))
    "$ROOT/tests/schemathesis/run" "${1:-600}" "$log" || code=$?
    count $((code == 0)) $((code != 0))
    [ $code -eq 0 ] || failure "schemathesis" "$(tail -n 20 "$log")"
    return $code
}

# Earlier releases of the agent take minutes to build, so they have a command of their own.
agent_tests() {
    ROOKERY_OLD_AGENTS=yes system_tests -run TestDaemonsOfEarlierReleases "$@"
}

# scim_tests [USERS]: a directory of that many, and a group for every ten of them (the system tests have a thousand); and
# scim2-tester, which comes from PyPI.
scim_tests() {
    [[ ${1:-10000} =~ ^[1-9][0-9]{2,5}$ ]] || die "'$1' is no number of users" "say:  rookery test scim 10000"
    ROOKERY_TEST_SCIM_USERS=${1:-10000} system_tests -run 'TestSCIMWholeDirectory|TestSCIMChecker'
}

# grafana_test DIR: a Grafana that somebody has, with bin/, conf/ and public/, as its releases have them.
grafana_test() {
    local dir=${1:-/usr/share/grafana} prometheus

    [ -x "$dir/bin/grafana" ] || [ -x "$dir/bin/grafana-server" ] ||
        die "there is no Grafana in $dir" "say where one is unpacked:  rookery test grafana DIR"
    prometheus=$("$ROOT/tests/support/prometheus" "$REPORT/prometheus") || return 1
    ROOKERY_GRAFANA=$(realpath -- "$dir") ROOKERY_PROMETHEUS=$prometheus system_tests -run TestGrafana
}

# checkout_before COMMIT: as a tree of its own, which is printed.
checkout_before() {
    local before=$ROOT/build/before

    rm -rf "$before"
    git clone -q --shared "$ROOT" "$before" &&
        git -C "$before" checkout -q --detach "$(git -C "$ROOT" rev-parse --verify "$1^{commit}")" &&
        printf '%s' "$before"
}

# What stands in for images that only a registry has: Debian's Prometheus, and Grafana's user with nothing to do.
compose_monitoring() {
    local dir base=${ROOKERY_BASE:-localhost/debian:bookworm} code=0

    dir=$(mktemp -d)
    cp "$("$ROOT/tests/support/prometheus" "$REPORT/prometheus")/prometheus" "$dir/" &&
        podman build -q --tag localhost/rookery-test-prometheus --file - "$dir" >/dev/null <<END &&
FROM $base
COPY prometheus /usr/bin/
RUN install --directory --owner nobody /prometheus
USER nobody
ENTRYPOINT ["prometheus"]
END
        podman build -q --tag localhost/rookery-test-grafana --file - "$dir" >/dev/null <<END || code=1
FROM $base
USER 472
ENTRYPOINT ["sleep", "infinity"]
END
    rm -rf "$dir"
    return $code
}

# What the lists of the images of our programs say is true, by the stage that they were built in.
compose_sbom() {
    local base=${ROOKERY_BASE:-localhost/debian:bookworm} stage=localhost/rookery-test-build log=$REPORT/sbom.log name
    local images=(management signal relay stun dashboard-api tools)

    BUILDAH_ISOLATION=chroot "$ROOT/rookery" images --base "${ROOKERY_BASE:-debootstrap}" --sbom "$REPORT/sbom" "${images[@]}" &&
        BUILDAH_ISOLATION=chroot podman build -q --layers --format docker --identity-label=false --timestamp 0 --file "$ROOT/compose/Dockerfile" \
            --target build --tag "$stage" --build-arg "BASE=$base" "$ROOT" >/dev/null || return 1
    "$ROOT/build/compose/bin/python" "$ROOT/tests/compose/sbom.py" "$REPORT/sbom" "$stage" "${images[@]/#/localhost/rookery-}" >"$log" 2>&1 || {
        cat "$log"
        failure "what is in the images" "$(cat "$log")"
        count 0 1
        return 1
    }
    count 1 0
}

# The images of this commit and of the one before it, in containers; the name of another Debian 12 may be given as BASE.
compose_tests() {
    local before log=$REPORT/compose.log code=0 start=$SECONDS tree tag program

    need_go
    for program in podman runc certbot pebble; do
        command -v "$program" >/dev/null || die "the containers' test needs $program" \
            "install:  apt-get install --no-install-recommends podman runc buildah netavark aardvark-dns iptables debootstrap certbot pebble"
    done
    "$ROOT/tests/support/venv" compose
    before=$(checkout_before "${1:-HEAD~1}") || return 1
    for tree in "$before" "$ROOT"; do
        tag=latest
        [ "$tree" = "$ROOT" ] || tag=before
        BUILDAH_ISOLATION=chroot "$tree/rookery" images --base "${ROOKERY_BASE:-debootstrap}" --tag "$tag" || return 1
    done
    BUILDAH_ISOLATION=chroot "$ROOT/rookery" images --base "${ROOKERY_BASE:-debootstrap}" --tag again --clean stun || return 1
    [ "$(podman image inspect --format '{{.Id}}' localhost/rookery-stun:again)" = \
        "$(podman image inspect --format '{{.Id}}' localhost/rookery-stun:latest)" ] || {
        failure "an image that is built again" "rookery-stun:again is not rookery-stun:latest, of the same sources"
        count 0 1
        return 1
    }
    compose_sbom || return 1
    BUILDAH_ISOLATION=chroot compose_monitoring || return 1
    BUILT_S=$((BUILT_S + SECONDS - start))
    GO=$GO PATH=$ROOT/build/compose/bin:$PATH ROOKERY_COMPOSE_TREE=$ROOT ROOKERY_COMPOSE_BEFORE=$before \
        ROOKERY_TEST_LOGS=$REPORT/compose "$ROOT/tests/system/run" --package ./compose 2>&1 | tee "$log" || code=$?
    grep -oE '[a-z]+_test.go:[0-9]+: .*' "$REPORT/compose/output.txt" || true
    count $((code == 0)) $((code != 0))
    [ $code -eq 0 ] || failure "compose" "$(tail -n 20 "$log")"
    return $code
}

# README.md's steps to a connected agent, where there is nothing but Debian's smallest system, git and bash.
newcomer_test() {
    local log=$REPORT/newcomer.log code=0 seconds start=$SECONDS ENGINE=podman program

    need_go
    for program in podman runc debootstrap; do
        command -v "$program" >/dev/null || die "the newcomer's test needs $program" \
            "install:  apt-get install --no-install-recommends podman runc buildah netavark aardvark-dns iptables debootstrap"
    done
    (cd "$ROOT/tests/system/daemon" && GOTOOLCHAIN=auto "$GO" build -ldflags '-X github.com/netbirdio/netbird/version.version=0.77.1' \
        -o "$REPORT/netbird" .) || return 1
    image_base_from_packages >/dev/null
    BUILT_S=$((BUILT_S + SECONDS - start))
    seconds=$("$ROOT/tests/newcomer/run" "$REPORT/netbird" localhost/debian:bookworm 2>"$log") || code=$?
    printf 'connected after %s s\n' "${seconds:-?}"
    count $((code == 0)) $((code != 0))
    [ $code -eq 0 ] || failure "newcomer" "$(tail -n 20 "$log")"
    return $code
}

# The Debian package, installed by apt and run by systemd on a machine of its own.
machine_test() {
    local log=$REPORT/machine.log code=0 start=$SECONDS ENGINE=podman program

    for program in podman runc debootstrap; do
        command -v "$program" >/dev/null || die "the machine's test needs $program" \
            "install:  apt-get install --no-install-recommends podman runc buildah netavark aardvark-dns iptables debootstrap"
    done
    (build_services) || return 1
    image_base_from_packages >/dev/null
    BUILT_S=$((BUILT_S + SECONDS - start))
    "$ROOT/tests/package/machine" "$ROOT/build/$PRESET" localhost/debian:bookworm 2>"$log" || code=$?
    count $((code == 0)) $((code != 0))
    [ $code -eq 0 ] || failure "machine" "$(tail -n 40 "$log")"
    return $code
}

# chaos_tests [--rounds N] [--seed S] [--first N] [--agents N] [--before COMMIT]: each is a flag of the test.
chaos_tests() {
    local flags=() rounds=3 before start=$SECONDS REPORT=$REPORT/chaos # beside that of the system tests

    while [ $# -gt 0 ]; do
        case $1 in
        --rounds | --seed | --first | --agents)
            [[ ${2:-} =~ ^[0-9]{1,9}$ ]] || die "$1 needs a number" "say:  rookery test chaos --rounds 100 --seed 7"
            [ "$1" != --rounds ] || rounds=$2
            flags+=("-${1#--}=$2")
            ;;
        --before)
            [ -n "${2:-}" ] || die "--before needs a commit" "say:  rookery test chaos --before HEAD~1"
            before=$(checkout_before "$2") && (ROOT=$before && build_services) || return 1
            BUILT_S=$((BUILT_S + SECONDS - start))
            flags+=("-before=$before")
            ;;
        *) die "the chaos test does not know '$1'" "see: rookery help" ;;
        esac
        shift 2
    done
    mkdir -p "$REPORT"
    ROOKERY_TEST_LIMIT=$((rounds + 10))m system_tests --package ./chaos "${flags[@]}"
}

# chaos_all ARGS...: under a sanitizer too, where that is the build.
chaos_all() {
    sanitized
    part "chaos" chaos_tests "$@"
    [ -z "$REPORTS" ] || part "sanitizer reports" no_reports
}

# The sanitizer of $PRESET, if it has one, writes what it finds beside the build, in $REPORTS, whoever started the process and
# wherever its output went.
sanitized() {
    REPORTS=
    case $PRESET in
    asan | tsan) REPORTS=$ROOT/build/$PRESET/reports ;;
    *) return 0 ;;
    esac
    rm -rf "$REPORTS"
    mkdir -p "$REPORTS"
    export ASAN_OPTIONS="log_path=$REPORTS/asan:detect_stack_use_after_return=1:strict_string_checks=1"
    export UBSAN_OPTIONS="log_path=$REPORTS/ubsan:print_stacktrace=1"
    export TSAN_OPTIONS="log_path=$REPORTS/tsan:halt_on_error=1:second_deadlock_stack=1"
    # Newer kernels scatter addresses more widely than the thread sanitizer's shadow memory allows.
    [ "$PRESET" = asan ] || ! setarch -R true 2>/dev/null || UNDER=(setarch -R)
}

asan_all() {
    PRESET=asan
    sanitized
    part "unit tests, address and undefined-behaviour sanitizers" unit_tests asan
    part "system tests, address and undefined-behaviour sanitizers" system_tests "$@"
    part "sanitizer reports" no_reports
}

no_reports() {
    local file

    [ -n "$(ls -A "$REPORTS")" ] || return 0
    for file in "$REPORTS"/*; do
        printf -- '--- %s\n' "$file"
        head -n 40 "$file"
        failure "${file##*/}" "$(grep -E '^SUMMARY|runtime error|ERROR: ' "$file" | head -n 3)"
    done
    return 1
}

tsan_all() {
    PRESET=tsan
    sanitized
    part "unit tests, thread sanitizer" unit_tests tsan
    part "sanitizer reports" no_reports
}

cmd_test() {
    local what=${1:-all}

    [ $# -eq 0 ] || shift
    case $what in
    all | check | unit | package | machine | newcomer | tsan) [ $# -eq 0 ] || die "rookery test $what does not know '$1'" "see: rookery help" ;;
    cover) [ $# -eq 0 ] || [ "$*" = --system ] || die "rookery test cover does not know '$1'" "see: rookery help" ;;
    fuzz) fuzz_options "$@" ;;
    compose | grafana) [ $# -le 1 ] || die "rookery test $what does not know '$2'" "see: rookery help" ;;
    system | chaos | package | helm | agents | scim | asan | differential | schemathesis) ;;
    *) die "there is no test '$what'" "there are: check unit system chaos package machine helm compose newcomer agents scim grafana differential schemathesis fuzz asan tsan cover" ;;
    esac
    need_packages build up test
    mkdir -p "$REPORT"
    case $what in
    all) # one build, of what is delivered
        part "layout and style" test_check "$PRESET"
        part "unit tests and fuzz corpora" unit_tests "$PRESET"
        part "Debian package" package_test
        part "system tests" system_tests
        part "chaos, short" chaos_tests
        part "differential test, short" differential_tests --accounts 4 --peers 5-10
        ;;
    check) part "layout and style" test_check dev ;;
    unit) part "unit tests and fuzz corpora" unit_tests dev ;;
    system) part "system tests" system_tests "$@" ;;
    chaos) chaos_all "$@" ;;
    package) part "Debian package" package_test ;;
    compose) part "containers" compose_tests "$@" ;;
    newcomer) part "a newcomer" newcomer_test ;;
    machine) part "the Debian package on a machine" machine_test ;;
    helm) part "the chart" helm_tests "$@" ;;
    agents) part "agents of earlier releases" agent_tests "$@" ;;
    scim) part "a large directory by SCIM" scim_tests "$@" ;;
    grafana) part "Grafana" grafana_test "$@" ;;
    differential) part "differential test" differential_tests "$@" ;;
    schemathesis) part "the API against its description" schemathesis_tests "$@" ;;
    fuzz) part "fuzzing" fuzz_all "$FUZZ_FOR" "${FUZZ_TARGETS[@]}" ;;
    asan) asan_all "$@" ;;
    tsan) tsan_all ;;
    cover) cover_all "$@" ;;
    esac
    summary
    [ "$TESTS_FAILED" -eq 0 ]
}

cmd_bench() {
    [ -x "$ROOT/tests/bench/run" ] || die "tests/bench/run is not there"
    need_packages build up test
    build_services
    exec "$ROOT/tests/bench/run" "$@"
}
