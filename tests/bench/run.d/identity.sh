# Identity: what it costs to know who asks, what a login costs, and what logins cost others. Ours alone: one replica of
# management and of dashboard-api with its own identity provider, their Postgres and Redis; all of them count.

IDENTITY_GUESSES=100 # a second
IDENTITY_MS=25000 # longer than two others_case

# token_case CASE TOKEN ENVIRONMENT...: a small answer, by this token.
token_case() {
    local case=$1 token=$2

    shift 2
    measure identity "$case" ours env "ROOKERY_BENCH_TOKEN=$token" "$@" "$BIN/bench-rest_load" 127.0.0.1:22080 \
        /api/users/current 16 1500 "${PID[dashboard-api]}" "$(process_pid postgres)" "$(process_pid redis)"
}

# others_case CASE: what one who reads REST and what agents have of it meanwhile.
others_case() {
    measure "identity_$1" rest ours "$BIN/bench-rest_load" 127.0.0.1:22080 /api/groups 1 2000 "${PID[dashboard-api]}"
    measure "identity_$1" agents ours "$BIN/bench-fleet" 22070 22080 +100 "${PID[management]}"
}

private_bytes() {
    awk '/^Private_Dirty/ { n += $2 } END { print n * 1024 }' "/proc/$1/smaps_rollup"
}

# note_value CASE NAME VALUE
note_value() {
    printf 'identity\t%s\tours\t%s\t%s\n' "$@" >>"$FIGURES"
}

# The first token after a start: its keys are not there yet.
first_token() {
    local seconds

    seconds=$(curl --silent --fail --noproxy '*' --max-time 30 --output /dev/null --write-out '%{time_total}' \
        --header "Authorization: Bearer $1" http://127.0.0.1:22080/api/users/current) || die "the token is not good"
    note_value first_token us "$(awk -v s="$seconds" 'BEGIN { print s * 1e6 }')"
}

no_password_waits() {
    curl --silent --fail --noproxy '*' --max-time 5 http://127.0.0.1:22081/metrics |
        grep -q '^rookery_api_requests_in_flight 0$'
}

# guess_passwords: in the background, and as much memory as that takes.
guess_passwords() {
    measure identity_guessed guesses ours "$BIN/bench-login_load" guess 127.0.0.1:22080 $IDENTITY_GUESSES $IDENTITY_MS
}

# others_kept NAME CASE RATE: the share of it that the others keep while passwords are tried, by the last two figures of each kind.
others_kept() {
    printf 'identity_guessed\tothers\tours\t%s\t%s\n' "$1" "$(awk -F'\t' -v case="$2" -v name="$3" '
        $2 == case && $4 == name && $1 ~ /^identity_(quiet|guessed)$/ {
            before[$1] = last[$1]
            last[$1] = $5
        }
        END {
            print (before["identity_guessed"] + last["identity_guessed"]) / (before["identity_quiet"] + last["identity_quiet"])
        }' "$FIGURES")" >>"$FIGURES"
}

# Quiet, guessed, guessed, quiet: the account grows meanwhile, and other work on the machine comes and goes.
others_beside_guesses() {
    local guesses

    others_case quiet
    guess_passwords &
    guesses=$!
    sleep 2
    note_value memory_guesses bytes "$(private_bytes "${PID[dashboard-api]}")"
    others_case guessed
    others_case guessed
    kill -0 "$guesses" 2>/dev/null || die "the guesses ended too early"
    wait "$guesses" || die "the guesses failed"
    wait_until 20 no_password_waits || die "passwords are still being hashed"
    others_case quiet
    others_kept rest rest per_s
    others_kept agents 100 login_per_s
}

round_identity() {
    local token=$OUT/identity-token

    instance_up
    MORE_OF_API=(ROOKERY_OIDC_EMBEDDED=true ROOKERY_TRUSTED_PROXIES=127.0.0.0/8)
    start_ours_management 127.0.0.1
    setup_token 22080
    note_value memory_before bytes "$(private_bytes "${PID[dashboard-api]}")"
    measure identity login ours "$BIN/bench-login_load" flow 127.0.0.1:22080 20 "$token" "${PID[dashboard-api]}" \
        "$(process_pid postgres)" "$(process_pid redis)"
    first_token "$(cat "$token")"
    token_case access_token "$ROOKERY_BENCH_TOKEN"
    token_case access_token_fresh "$ROOKERY_BENCH_TOKEN" 'ROOKERY_BENCH_HEADER=Cache-Control: no-cache'
    token_case provider_token "$(cat "$token")" ROOKERY_BENCH_SCHEME=Bearer
    others_beside_guesses
    note_value memory_after bytes "$(private_bytes "${PID[dashboard-api]}")"
    MORE_OF_API=()
    stop management dashboard-api
    instance_down
}

bench_identity() {
    local round pinned=$PIN loopback=$LOOPBACK

    PIN=no
    LOOPBACK=yes
    for ((round = 0; round < ROUNDS; round++)); do
        round_identity
    done
    PIN=$pinned
    LOOPBACK=$loopback
}
