# The private Postgres and Redis: Unix sockets only, data under the instance's directory. A cluster of the system's
# own is neither used nor touched. With STORES there are none: that file says where others are.

postgres_bin() {
    local dir

    for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
        if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then
            printf '%s' "$dir"
            return
        fi
    done
    die "there is no Postgres under /usr/lib/postgresql" "install it:  apt-get install postgresql"
}

# Postgres refuses to run as root; then it runs as the user its package made.
as_database_user() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"
    else
        "$@"
    fi
}

# database_user_reaches DIRECTORY: also when part of the path does not exist yet.
database_user_reaches() {
    local dir=$1

    [ "$(id -u)" -eq 0 ] || return 0
    until [ -d "$dir" ]; do
        dir=$(dirname "$dir")
    done
    as_database_user test -x "$dir"
}

# Data lies in DIR/postgres, or, where the database's user cannot go there (a home directory closed to others), in a
# directory of its own, to which DIR/postgres is a link.
postgres_data_place() {
    if database_user_reaches "$DIR"; then
        printf '%s' "$DIR/postgres"
    else
        printf '%s' "/var/lib/rookery/$INSTANCE_ID"
    fi
}

# store_settings SERVICE: the lines of its settings that say where Postgres and Redis are.
store_settings() {
    local keys='^(postgres|redis)'

    [ "$1" != signal ] || keys='^redis'
    if [ -n "$STORES" ]; then
        grep -E "$keys" "$STORES" || die "$STORES does not say where the stores of $1 are" "write: postgres = ..., redis = ..."
    else
        printf 'postgres = %s\nredis = %s\n' "$(postgres_conninfo)" "$(redis_uri)" | grep -E "$keys"
    fi
}

postgres_conninfo() {
    if [ -n "$STORES" ]; then
        sed -nE 's/^postgres *= *//p' "$STORES"
        return
    fi
    printf 'host=%s port=5432 dbname=rookery user=rookery' "$RUN/pg"
}

postgres_psql() {
    PGCONNECT_TIMEOUT=5 "$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 "host=$RUN/pg port=5432 dbname=postgres user=postgres" "$@"
}

postgres_init() {
    local log="$DIR/log/initdb.log"

    note "creating the database"
    mkdir -p "$(dirname "$PG_DATA")"
    mkdir -p -m 700 "$PG_DATA"
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres:postgres "$PG_DATA"
    fi
    # Who may open the socket may come in; the socket's directory says who that is.
    (cd / && as_database_user "$PG_BIN/initdb" -D "$PG_DATA" -U postgres --auth=trust --encoding=UTF8 \
        --locale=C.UTF-8 --no-sync) >"$log" 2>&1 || {
        tail -n 15 "$log" >&2
        rm -rf "${PG_DATA:?}"
        die "initdb failed" "see the lines above"
    }
}

postgres_accepts() {
    "$PG_BIN/pg_isready" -q -t 2 -h "$RUN/pg" -p 5432 -U postgres -d postgres
}

postgres_accepts_or_died() {
    postgres_accepts || ! process_runs postgres
}

postgres_prepare_socket() {
    mkdir -p "$RUN/pg"
    chmod 770 "$RUN/pg"
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres:root "$RUN/pg"
    fi
}

postgres_start() {
    local attempt

    PG_BIN=$(postgres_bin)
    PG_DATA=$(postgres_data_place)
    process_runs postgres && return
    [ -f "$PG_DATA/PG_VERSION" ] || postgres_init
    [ "$PG_DATA" = "$DIR/postgres" ] || ln -sfn "$PG_DATA" "$DIR/postgres"
    postgres_prepare_socket
    note "starting Postgres"
    # After a kill -9 the old server's children may hold its shared memory for a moment more.
    for attempt in 1 2 3 4 5; do
        process_launch postgres "${AS_DATABASE_USER[@]}" "$PG_BIN/postgres" -D "$PG_DATA" \
            -c listen_addresses= -c unix_socket_directories="$RUN/pg" -c unix_socket_permissions=0777 -c port=5432 \
            -c max_connections=200 -c shared_buffers=128MB -c timezone=UTC -c log_timezone=UTC -c logging_collector=off
        wait_until 60 postgres_accepts_or_died || process_failed postgres "Postgres does not answer"
        process_runs postgres && break
        sleep "$attempt"
    done
    process_runs postgres || process_failed postgres "Postgres does not start" \
        "if it says the data is of another version, start afresh:  $ROOT/rookery down --wipe --dir $DIR"
    postgres_create_database
}

postgres_create_database() {
    [ "$(postgres_psql -tAc "SELECT count(*) FROM pg_roles WHERE rolname = 'rookery'")" = 1 ] ||
        postgres_psql -c "CREATE ROLE rookery LOGIN"
    [ "$(postgres_psql -tAc "SELECT count(*) FROM pg_database WHERE datname = 'rookery'")" = 1 ] ||
        postgres_psql -c "CREATE DATABASE rookery OWNER rookery"
}

redis_uri() {
    if [ -n "$STORES" ]; then
        sed -nE 's/^redis *= *//p' "$STORES"
        return
    fi
    printf 'unix:%s' "$RUN/redis.sock"
}

redis_accepts_or_died() {
    [ "$(redis-cli -s "$RUN/redis.sock" ping 2>/dev/null)" = PONG ] || ! process_runs redis
}

# A doorbell and a switchboard: nothing in it needs to outlive it, so it stores nothing; nor has it housekeeping to do ten
# times a second, which is most of what it costs while all is quiet.
redis_start() {
    process_runs redis && return
    note "starting Redis"
    process_launch redis redis-server --port 0 --unixsocket "$RUN/redis.sock" --unixsocketperm 700 --hz 2 --save '' \
        --appendonly no --dir "$RUN" --daemonize no
    wait_until 20 redis_accepts_or_died || process_failed redis "Redis does not answer"
    process_runs redis || process_failed redis "Redis does not start"
}

stores_start() {
    [ -z "$STORES" ] || return 0
    AS_DATABASE_USER=()
    if [ "$(id -u)" -eq 0 ]; then
        AS_DATABASE_USER=(setpriv --reuid=postgres --regid=postgres --clear-groups --)
    fi
    postgres_start
    redis_start
}

stores_stop() {
    process_stop TERM 10 redis
    process_stop INT 30 postgres # INT is Postgres's fast shutdown: it does not wait for its clients
}

stores_wipe() {
    if [ -L "$DIR/postgres" ] && [ "$(readlink "$DIR/postgres")" = "/var/lib/rookery/$INSTANCE_ID" ]; then
        rm -rf "/var/lib/rookery/${INSTANCE_ID:?}"
        rmdir --ignore-fail-on-non-empty /var/lib/rookery
    fi
}
