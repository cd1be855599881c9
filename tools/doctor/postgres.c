/* Postgres: each of its hosts, and what stands in the database. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/account/store/migrations.h"
#include "libcommon/account/store/store.h"
#include "libcommon/base/clock.h"
#include "libcommon/crypto/seal.h"
#include "libcommon/pg/pg.h"
#include "services/management/upkeep/upkeep.h"
#include "tools/doctor/check.h"
#include "tools/doctor/skew.h"

#define OLDEST_TESTED 150000
#define LAG_MAX ((int64_t)64 * 1024 * 1024)
#define LAG_MAX_S 10
#define REPLICAS_MAX 100

static const char reach_it[] =
    "start it, or correct `postgres` in the settings, its name, pg_hba.conf or the firewall";

/* --- one host --- */

static const struct rk_pg_stmt host_facts = {
    "doctor_host",
    "SELECT pg_is_in_recovery(), current_setting('server_version'), "
    "current_setting('server_version_num')::bigint, clock_timestamp(), "
    "EXISTS (SELECT 1 FROM pg_stat_wal_receiver), "
    "coalesce(CASE WHEN pg_is_in_recovery() AND "
    "  pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn() "
    "  THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END, 0)::bigint"
};

static void say_standby(struct check *c, const struct rk_pg_result *res)
{
    int64_t behind_s = rk_pg_int(res, 0, 5);

    if (!rk_pg_bool(res, 0, 4))
        check_say(c, VERDICT_FAIL, "standby",
                  "see its log: primary_conninfo, the replication slot, WAL that is gone; a "
                  "failover to it would lose data",
                  "receives nothing from a primary");
    else if (behind_s > LAG_MAX_S)
        check_say(c, VERDICT_WARN, "standby", "see its disks and the network between the two",
                  "%" PRId64 " s behind the primary", behind_s);
    else
        check_say(c, VERDICT_OK, "standby", NULL, "streams, %" PRId64 " s behind", behind_s);
}

void check_postgres_host(struct check *c)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = rk_pg_new(c->arg, "rookery-doctor");
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_err err = { 0 };
    int64_t before_us;

    if (rk_pg_ping(pg, &err) < 0) {
        check_say(c, VERDICT_FAIL, "postgres", reach_it, "%s", err.msg);
        return;
    }
    before_us = rk_wall_us();
    if (rk_pg_run0(pg, &host_facts, &res, &err) < 0) {
        check_say(c, VERDICT_FAIL, "postgres", reach_it, "%s", err.msg);
        return;
    }
    if (rk_pg_int(res, 0, 2) < OLDEST_TESTED)
        check_say(c, VERDICT_WARN, "postgres",
                  "upgrade: Rookery is not tested with versions before 15", "answers, version %s",
                  rk_pg_str(res, 0, 1).p);
    else
        check_say(c, VERDICT_OK, "postgres", NULL, "answers as a %s, version %s",
                  rk_pg_bool(res, 0, 0) ? "standby" : "primary", rk_pg_str(res, 0, 1).p);
    skew_judge(c, rk_pg_time(res, 0, 3), before_us, rk_wall_us());
    if (rk_pg_bool(res, 0, 0))
        say_standby(c, res);
}

/* --- the database --- */

static void say_schema(struct check *c, struct rk_pg *pg)
{
    static const struct rk_pg_stmt is_there = {
        "doctor_schema", "SELECT to_regclass('schema_migration') IS NOT NULL"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *there = NULL;
    int64_t known = (int64_t)rk_migrations_count;
    struct rk_schema now = { 0 };
    struct rk_err err = { 0 };
    int r = rk_pg_run0(pg, &is_there, &there, &err);

    if (r == 0 && rk_pg_bool(there, 0, 0))
        r = rk_pg_schema(pg, &now, &err);
    if (r < 0)
        check_say(c, VERDICT_FAIL, "schema", reach_it, "%s", err.msg);
    else if (now.version < known)
        check_say(c, VERDICT_FAIL, "schema",
                  "start a management or dashboard-api of this build, which brings it up to date; "
                  "if they run, see in their logs why that failed",
                  "is at version %" PRId64 ", this build knows %" PRId64, now.version, known);
    else if (now.serves > known)
        check_say(c, VERDICT_FAIL, "schema",
                  "use the newer build everywhere: an older management or dashboard-api does not "
                  "start with this database any more",
                  "is at version %" PRId64 ", newer than the %" PRId64 " that this build knows",
                  now.version, known);
    else
        check_say(c, VERDICT_OK, "schema", NULL, "is at version %" PRId64 "%s", now.version,
                  now.version > known ? ", which this older build works with" : "");
}

static const struct rk_pg_stmt standbys = {
    "doctor_standbys",
    "SELECT count(*), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')), "
    "count(*) FILTER (WHERE state IS NULL), "
    "coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), 0)::bigint, "
    "current_setting('synchronous_standby_names') <> '', "
    "current_setting('synchronous_commit') NOT IN ('off', 'local') FROM pg_stat_replication"
};

static void say_replication(struct check *c, struct rk_pg *pg)
{
    static const char topic[] = "replication";
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_err err = { 0 };
    int64_t all, synchronous, lag;

    if (rk_pg_run0(pg, &standbys, &res, &err) < 0) {
        check_say(c, VERDICT_WARN, topic, reach_it, "%s", err.msg);
        return;
    }
    all = rk_pg_int(res, 0, 0);
    synchronous = rk_pg_int(res, 0, 1);
    lag = rk_pg_int(res, 0, 3);
    if (rk_pg_int(res, 0, 2) > 0)
        check_say(c, VERDICT_WARN, topic, "GRANT pg_monitor to the services' role, to see more",
                  "%" PRId64 " standbys, whose state this role may not see", all);
    else if (rk_pg_bool(res, 0, 4) && synchronous == 0)
        check_say(c, VERDICT_FAIL, topic,
                  "bring the standby back, or take it out of synchronous_standby_names",
                  "no synchronous standby is connected: every change waits for one");
    else if (all > 0 && (synchronous == 0 || !rk_pg_bool(res, 0, 5)))
        check_say(c, VERDICT_WARN, topic,
                  "set synchronous_standby_names, and leave synchronous_commit on",
                  "%" PRId64 " standbys, none of them synchronous: a failover may lose changes "
                  "that were answered with success",
                  all);
    else if (lag > LAG_MAX)
        check_say(c, VERDICT_WARN, topic, "see the standby's disks and the network between the two",
                  "a standby is %" PRId64 " MiB behind", lag >> 20);
    else if (all > 0)
        check_say(c, VERDICT_OK, topic, NULL,
                  "%" PRId64 " standbys, %" PRId64 " synchronous, %" PRId64 " KiB behind", all,
                  synchronous, lag >> 10);
    else
        check_say(c, VERDICT_OK, topic, NULL, "no standby");
}

static void say_key(struct check *c, struct rk_pg *pg)
{
    static const char topic[] = "secret key";
    rk_auto(rk_buf_done) struct rk_buf key;
    struct rk_err err = { 0 };
    struct rk_keypair pair;
    struct rk_seal seal;
    int r;

    rk_buf_init(&key, 256);
    if (rk_seal_init(&seal, rk_str(c->config->secret_key), &err) < 0) {
        check_say(c, VERDICT_FAIL, topic, "make one with: openssl rand -base64 32", "%s", err.msg);
        return;
    }
    r = rk_store_secret_read(pg, &seal, RK_SECRET_SERVER_KEY, &key, &err);
    rk_seal_done(&seal);
    if (r == RK_NOT_FOUND)
        check_say(c, VERDICT_FAIL, topic, "start management, which makes it",
                  "the server has no key yet");
    else if (r == RK_UNAVAILABLE)
        check_say(c, VERDICT_FAIL, topic, reach_it, "%s", err.msg);
    else if (r < 0 || key.n != RK_KEY_LEN)
        check_say(c, VERDICT_FAIL, topic,
                  "use the secret_key that this database began with (from its backup): services "
                  "with this one do not start",
                  "does not open the server's key in the database");
    else {
        rk_keypair_from_private(key.p, &pair);
        memcpy(c->facts.key, pair.public_key, RK_KEY_LEN);
        c->facts.has_key = true;
        rk_wipe(&pair, sizeof(pair));
        check_say(c, VERDICT_OK, topic, NULL, "opens the server's key in the database");
    }
    if (key.p)
        rk_wipe(key.p, key.n);
}

static void say_replicas(struct check *c, struct rk_pg *pg)
{
    static const struct rk_pg_stmt all = {
        "doctor_replicas", "SELECT name, extract(epoch FROM clock_timestamp() - beat)::bigint "
                           "FROM replica ORDER BY beat DESC LIMIT $1::bigint"
    };
    static const char topic[] = "replicas";
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_err err = { 0 };
    char names[512] = "";
    size_t at = 0;
    int alive = 0, stale = 0, r = rk_pg_run(pg, &all, &res, &err, RK_P_INT(REPLICAS_MAX));

    if (r < 0) {
        check_say(c, VERDICT_FAIL, topic, "see `schema`", "%s", err.msg);
        return;
    }
    for (int i = 0; i < rk_pg_rows(res); i++) {
        bool beats = rk_pg_int(res, i, 1) <= UPKEEP_LEASE_S;
        struct rk_str name = rk_pg_str(res, i, 0);

        alive += beats;
        stale += !beats;
        if (!beats && at < sizeof(names))
            at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%.*s (%" PRId64 " s ago)",
                                   at > 0 ? ", " : "", RK_STR_FMT(name), rk_pg_int(res, i, 1));
    }
    if (alive == 0)
        check_say(c, VERDICT_FAIL, topic, "start management, or see in its log why it has stopped",
                  "no replica of management beats");
    else
        check_say(c, VERDICT_OK, topic, NULL, "%d of management beat", alive);
    if (stale > 0)
        check_say(c, VERDICT_WARN, topic,
                  "nothing, where you have stopped or restarted it just now: its row goes within a "
                  "minute; else see whether it still runs, and its log",
                  "no beat any more from %s", names);
}

void check_postgres(struct check *c)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = rk_pg_new(c->arg, "rookery-doctor");
    static const struct rk_pg_stmt writable = {
        "doctor_writable",
        "SELECT NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = "
        "'off'"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_err err = { 0 };

    if (rk_pg_ping(pg, &err) < 0 || rk_pg_run0(pg, &writable, &res, &err) < 0) {
        check_say(c, VERDICT_FAIL, "database",
                  "start Postgres, or promote a standby: services keep what agents have, but "
                  "nothing can be changed",
                  "no server that takes writes: %s", err.msg);
        return;
    }
    if (!rk_pg_bool(res, 0, 0)) {
        check_say(c, VERDICT_FAIL, "database",
                  "promote it, or name the primary in `postgres` and leave out "
                  "target_session_attrs",
                  "the server that services would use takes no writes");
        return;
    }
    check_say(c, VERDICT_OK, "database", NULL, "takes writes");
    say_schema(c, pg);
    say_replication(c, pg);
    say_key(c, pg);
    say_replicas(c, pg);
}
