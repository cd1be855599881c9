/*
 * One Postgres connection. BEGIN travels with the first statement of its transaction, and queued
 * statements with the next one whose answer is needed (libpq's pipeline mode): a change costs a few
 * round trips, not one a statement.
 *
 * libpq is driven without blocking and every wait has a deadline, so that
 * a server that stops answering (a frozen host, a stopped process) costs a worker seconds, not its
 * life. After a missed deadline the connection is given up: what is still in flight could not be
 * told from the next answer.
 */

#include "libcommon/pg/pg.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/pg/connect.h"
#include "libcommon/pg/pg_conn.h"
#include "libcommon/pg/result.h"
#include "libcommon/pg/sqlstate.h"
#include "libcommon/pg/value.h"

#define STATEMENT_TIMEOUT_MS 10000
#define BACKOFF_FIRST_MS 50
#define BACKOFF_MAX_MS 1000
#define CONNECT_MS 3000
#define FOUND_MS                                                                                   \
    100 /* so often whoever waits beside the one that searches looks what it has found */

/* === Connection === */

static void forget_prepared(struct rk_pg *c)
{
    size_t it = 0;
    void *p;

    while (rk_map_each(c->prepared, &it, &p))
        free(p);
    rk_map_free(c->prepared);
    c->prepared = rk_map_new();
    c->prepared_n = 0;
}

void pg_drop(struct rk_pg *c)
{
    if (c->conn)
        PQfinish(c->conn);
    c->conn = NULL;
    PQclear(rk_steal(c->come));
    c->tx.lost = true;
    c->queued_n = 0;
    forget_prepared(c);
}

struct rk_pg *rk_pg_new(const char *conninfo, const char *application_name)
{
    struct rk_pg *c = rk_new(struct rk_pg);

    c->conninfo = rk_strdup(conninfo);
    c->application_name = rk_strdup(application_name);
    c->prepared = rk_map_new();
    c->timeout_ms = STATEMENT_TIMEOUT_MS;
    c->several = pg_names_several(conninfo);
    return c;
}

void rk_pg_plan_once(struct rk_pg *c)
{
    c->plan_once = true;
}

void rk_pg_free(struct rk_pg *c)
{
    if (!c)
        return;
    pg_drop(c);
    PQfinish(c->next);
    rk_map_free(c->prepared);
    free(c->conninfo);
    free(c->application_name);
    free(c);
}

/* First line only, without the trailing newline libpq adds. */
static int first_line(const char *s)
{
    return (int)strcspn(s, "\n");
}

int pg_lost(struct rk_pg *c, const char *what, struct rk_err *err)
{
    const char *why = c->conn ? PQerrorMessage(c->conn) : "";
    int r = rk_fail(err, RK_UNAVAILABLE, "postgres: %s: %.*s", what, first_line(why), why);

    pg_drop(c);
    return r;
}

/* In this process: a server was found not to be the one to wait for. Whoever was connected before
 * connects anew, and does not have to find out for itself. */
static _Atomic unsigned overtakings;

bool pg_behind(const struct rk_pg *c)
{
    return c->several && c->before != overtakings;
}

/* Of all who wait, one looks for another server. */
static atomic_flag searching = ATOMIC_FLAG_INIT;

/*
 * A frozen server says nothing and loses no connection. When another one that is named takes writes
 * before ours speaks, ours is not the one to wait for.
 */
static bool overtaken(struct rk_pg *c, uint64_t limit_ms)
{
    unsigned before = c->before;
    PGconn *found =
        pg_connect(c->conninfo, c->application_name, (unsigned)limit_ms, PQsocket(c->conn));

    if (PQstatus(found) == CONNECTION_OK && (strcmp(PQhost(found), PQhost(c->conn)) != 0 ||
                                             strcmp(PQport(found), PQport(c->conn)) != 0)) {
        PQfinish(c->next);
        c->next = found;
        (void)atomic_compare_exchange_strong(&overtakings, &before, before + 1);
        return true;
    }
    PQfinish(found);
    return false;
}

int pg_suspect(struct rk_pg *c, uint64_t deadline_ms)
{
    uint64_t now = rk_mono_ms();
    bool gone;

    if (pg_behind(c))
        return 0;
    if (atomic_flag_test_and_set(&searching))
        return FOUND_MS;
    gone = now < deadline_ms && overtaken(c, deadline_ms - now);
    atomic_flag_clear(&searching);
    return gone ? 0 : PG_SUSPECT_MS;
}

int pg_wait(struct rk_pg *c, short events, int patience, uint64_t deadline_ms, struct rk_err *err)
{
    struct pollfd fd = { .fd = PQsocket(c->conn), .events = events };

    for (;;) {
        uint64_t now = rk_mono_ms(), left;
        int n;

        if (fd.fd < 0 || now >= deadline_ms)
            return pg_lost(c, "no answer in time", err);
        left = deadline_ms - now;
        n = poll(&fd, 1, c->several && left > (uint64_t)patience ? patience : (int)left);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return pg_lost(c, "poll", err);
        if (n == 0 && c->several && (patience = pg_suspect(c, deadline_ms)) == 0)
            return pg_lost(c, "another server has taken over", err);
    }
}

/* Waits for the whole answer of what was sent; the last result counts, an error among them wins. */
static int receive(struct rk_pg *c, PGresult **out, struct rk_err *err)
{
    uint64_t deadline = rk_mono_ms() + c->timeout_ms + PG_GRACE_MS;
    PGresult *last = NULL;
    int r = 0;

    for (;;) {
        int flushed = PQflush(c->conn);
        PGresult *res;

        if (flushed < 0) {
            r = pg_lost(c, "send", err);
            break;
        }
        if (flushed == 1 || PQisBusy(c->conn)) {
            r = pg_wait(c, flushed == 1 ? POLLIN | POLLOUT : POLLIN, PG_SUSPECT_MS, deadline, err);
            if (r < 0)
                break;
            if (!PQconsumeInput(c->conn)) {
                r = pg_lost(c, "receive", err);
                break;
            }
            continue;
        }
        res = PQgetResult(c->conn);
        if (!res)
            break;
        if (last && PQresultStatus(last) == PGRES_FATAL_ERROR) {
            PQclear(res);
            continue;
        }
        PQclear(last);
        last = res;
    }
    if (r < 0) {
        PQclear(last);
        return r;
    }
    *out = last;
    return 0;
}

int pg_judge(struct rk_pg *c, const char *what, const PGresult *res, struct rk_err *err)
{
    const char *state, *text, *constraint;
    int code;

    switch (PQresultStatus(res)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        return 0;
    default:
        break;
    }
    state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
    if (!state || PQstatus(c->conn) == CONNECTION_BAD)
        return pg_lost(c, what, err);
    code = pg_code_of(state);
    if (code == RK_EXISTS)
        return rk_fail(err, code, "%s", constraint ? constraint : "");
    rk_fail(err, code, "postgres: %s: %s (%s)", what, text ? text : "error", state);
    if (pg_is_class(state, "57P") || pg_is_class(state, "08") || pg_is_class(state, "25006"))
        pg_drop(c); /* the session ends, or this server is no longer the one to write to */
    return code;
}

/* One simple-protocol query, possibly several statements. */
static int simple(struct rk_pg *c, const char *sql, const char *what, struct rk_err *err)
{
    PGresult *res = NULL;
    int r;

    if (!c->conn || !PQsendQuery(c->conn, sql))
        return pg_lost(c, what, err);
    c->trips++;
    r = receive(c, &res, err);
    if (r < 0)
        return r;
    r = pg_judge(c, what, res, err);
    PQclear(res);
    return r;
}

static void push_back_retry(struct rk_pg *c)
{
    c->backoff_ms = c->backoff_ms ? c->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (c->backoff_ms > BACKOFF_MAX_MS)
        c->backoff_ms = BACKOFF_MAX_MS;
    /* Half fixed, half random: a hundred workers do not come back in step. */
    c->retry_at_ms = rk_mono_ms() + c->backoff_ms / 2 + rk_random_below(c->backoff_ms / 2 + 1);
}

static void no_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message; /* else libpq prints it to stderr, among the log's lines */
}

static int set_session(struct rk_pg *c, struct rk_err *err)
{
    char sql[360];

    /*
     * Whole-account queries look dear to the planner, and compiling one takes ten times what it
     * saves. Nothing here has to read a whole table of many accounts, but a plan that was made
     * while the table was small reads all of it, and is kept until ANALYZE comes by, however large
     * the table has become.
     */
    snprintf(sql, sizeof(sql),
             "SET statement_timeout = %u; SET idle_in_transaction_session_timeout = 30000;"
             "SET jit = off; SET enable_seqscan = off; SET TimeZone = 'UTC'; SET DateStyle = 'ISO';"
             "SET bytea_output = 'hex'; SET client_min_messages = warning;"
             "SET plan_cache_mode = %s",
             c->timeout_ms, c->plan_once ? "force_generic_plan" : "auto");
    return simple(c, sql, "session settings", err);
}

static int do_connect(struct rk_pg *c, struct rk_err *err)
{
    int r;

    c->before = overtakings;
    c->conn =
        c->next ? rk_steal(c->next) : pg_connect(c->conninfo, c->application_name, CONNECT_MS, -1);
    if (!c->conn || PQstatus(c->conn) != CONNECTION_OK || PQsetnonblocking(c->conn, 1) != 0)
        return pg_lost(c, "connect", err);
    PQsetNoticeProcessor(c->conn, no_notice, NULL);
    r = set_session(c, err);
    if (r < 0) {
        pg_drop(c);
        return RK_UNAVAILABLE;
    }
    return 0;
}

/*
 * An idle connection has nothing to say but its end: a server that went away costs no caller its
 * statement. (A change of the server's configuration may speak too; connecting anew then does no
 * harm.)
 */
static bool idle_alive(struct rk_pg *c)
{
    struct pollfd fd = { .fd = PQsocket(c->conn), .events = POLLIN };

    return PQstatus(c->conn) == CONNECTION_OK && poll(&fd, 1, 0) == 0;
}

static int ensure_connected(struct rk_pg *c, struct rk_err *err)
{
    struct rk_err cause = { 0 };
    int r;

    if (c->conn && !pg_behind(c) && idle_alive(c))
        return 0;
    if (c->conn)
        pg_drop(c);
    if (!c->next && rk_mono_ms() < c->retry_at_ms)
        return rk_fail(err, RK_UNAVAILABLE, "%s", c->why);
    r = do_connect(c, &cause);
    if (r < 0) {
        push_back_retry(c);
        rk_str_copy(rk_strn(cause.msg, strnlen(cause.msg, sizeof(c->why) - 1)), c->why,
                    sizeof(c->why));
        return rk_fail(err, RK_UNAVAILABLE, "%s", cause.msg);
    }
    c->backoff_ms = 0;
    c->retry_at_ms = 0;
    return 0;
}

/* True when this step is the one that a test wants to fail. */
static int injected(struct rk_pg *c, const char *what, struct rk_err *err)
{
    c->steps++;
    if (!c->fail_step || c->steps != c->fail_step)
        return 0;
    c->fail_step = 0;
    if (c->fail_code == RK_UNAVAILABLE)
        pg_drop(c);
    return rk_fail(err, c->fail_code, "injected failure: %s", what);
}

void rk_pg_fail_at(struct rk_pg *c, unsigned k, int code)
{
    c->fail_step = k ? c->steps + k : 0;
    c->fail_code = code;
}

int rk_pg_set_timeout(struct rk_pg *c, unsigned ms, struct rk_err *err)
{
    c->timeout_ms = ms;
    if (!c->conn)
        return 0;
    return set_session(c, err);
}

/* Inside a transaction there is no reconnecting: its earlier statements are gone. */
static int ready(struct rk_pg *c, const char *what, struct rk_err *err)
{
    int r = injected(c, what, err);

    if (r < 0)
        return r;
    if (c->spoilt)
        return rk_fail(err, RK_UNAVAILABLE, "postgres: %s: it shared a commit that is spoilt",
                       what);
    if (!c->in_tx)
        return ensure_connected(c, err);
    if (c->tx.lost)
        return rk_fail(err, RK_UNAVAILABLE, "postgres: %s: connection lost in the transaction",
                       what);
    return 0;
}

/* === Statements === */

static int
prepare(struct rk_pg *c, const struct rk_pg_stmt *st, struct prepared **out, struct rk_err *err)
{
    struct prepared *p = rk_new(struct prepared);
    PGresult *res = NULL;
    int r;

    p->stmt = st;
    snprintf(p->name, sizeof(p->name), "rk%u", c->prepared_n++);
    if (!PQsendPrepare(c->conn, p->name, st->sql, 0, NULL)) {
        free(p);
        return pg_lost(c, st->name, err);
    }
    c->trips++;
    r = receive(c, &res, err);
    if (r == 0) {
        r = pg_judge(c, st->name, res, err);
        PQclear(res);
    }
    if (r < 0) {
        free(p);
        return r;
    }
    rk_map_put(c->prepared, rk_strn(&p->stmt, sizeof(p->stmt)), p);
    *out = p;
    return 0;
}

/* Reads the answers of everything queued. The first error counts: what came after it was not done.
 * Behind COMMIT it counts no more. */
static int settle(struct rk_pg *c, struct rk_err *err)
{
    struct queued queue[QUEUE_MAX];
    unsigned n = c->queued_n;
    PGresult *res = NULL;
    int first = 0, behind_commit = 0;

    memcpy(queue, c->queue, n * sizeof(*queue));
    c->queued_n = 0;
    c->trips++;
    if (!PQpipelineSync(c->conn))
        return pg_lost(c, "pipeline", err);
    for (unsigned i = 0; i < n; i++) {
        int *counts = queue[i].then ? &behind_commit : &first;
        struct rk_err *tell = first < 0 || queue[i].then ? NULL : err;
        int r = receive(c, &res, tell);

        if (r < 0)
            return first < 0 || queue[i].then ? first : r;
        if (first == 0 && *counts == 0)
            *counts = pg_judge(c, queue[i].name, res, tell);
        if (first == 0 && *counts == 0 && queue[i].out)
            *queue[i].out = pg_result_new(res);
        else
            PQclear(res);
        if (!c->conn)
            return first; /* judged to be the end of the session */
    }
    if (first < 0 && c->put_off)
        c->spoilt = RK_CONFLICT;
    if (receive(c, &res, first < 0 ? NULL : err) < 0)
        return first < 0 ? first : RK_UNAVAILABLE;
    PQclear(res);
    if (!PQexitPipelineMode(c->conn))
        return pg_lost(c, "pipeline", err);
    return first;
}

/* Hands one more statement to libpq; p NULL: `sql` as it stands. */
static int push(struct rk_pg *c,
                const struct prepared *p,
                const char *sql,
                struct pg_values *values,
                struct rk_pg_result **out,
                struct rk_err *err)
{
    const char *name = p ? p->stmt->name : sql;
    int sent;

    if (c->queued_n == 0 && !PQenterPipelineMode(c->conn))
        return pg_lost(c, name, err);
    sent = p ? PQsendQueryPrepared(c->conn, p->name, (int)values->n, pg_values_text(values), NULL,
                                   NULL, 0)
             : PQsendQueryParams(c->conn, sql, 0, NULL, NULL, NULL, NULL, 0);
    if (!sent)
        return pg_lost(c, name, err);
    c->queue[c->queued_n++] = (struct queued){ name, out, c->behind_commit };
    return 0;
}

/* Checks, prepares and queues; the caller settles when it needs the answer. */
static int enqueue(struct rk_pg *c,
                   const struct rk_pg_stmt *st,
                   const struct rk_pg_param *params,
                   size_t n,
                   struct rk_pg_result **out,
                   struct rk_err *err)
{
    rk_auto(pg_values_done) struct pg_values values;
    struct prepared *p;
    int r;

    pg_values_init(&values);
    r = pg_values_add(&values, params, n, err);
    if (r < 0)
        return r;
    r = ready(c, st->name, err);
    if (r < 0)
        return r;
    p = rk_map_get(c->prepared, rk_strn(&st, sizeof(st)));
    if (c->behind_commit && (!p || c->queued_n == QUEUE_MAX))
        return 0;
    if (!p) {
        r = c->queued_n ? settle(c, err) : 0;
        if (r == 0)
            r = prepare(c, st, &p, err);
        if (r < 0)
            return r;
    }
    if (c->begin) {
        const char *begin = rk_steal(c->begin);

        r = push(c, NULL, begin, NULL, NULL, err);
        if (r < 0)
            return r;
    }
    c->wrote |= strncmp(st->sql, "SELECT", 6) != 0;
    return push(c, p, NULL, &values, out, err);
}

int rk_pg_exec(struct rk_pg *c,
               const struct rk_pg_stmt *st,
               const struct rk_pg_param *params,
               size_t n,
               struct rk_pg_result **out,
               struct rk_err *err)
{
    int r = enqueue(c, st, params, n, out, err);

    if (r < 0)
        return r;
    return settle(c, err);
}

int rk_pg_queue(struct rk_pg *c,
                const struct rk_pg_stmt *st,
                const struct rk_pg_param *params,
                size_t n,
                struct rk_pg_result **out,
                struct rk_err *err)
{
    int r;

    assert(c->in_tx);
    r = enqueue(c, st, params, n, out, err);
    if (r < 0 || c->behind_commit || c->queued_n < QUEUE_MAX - QUEUE_SPARE)
        return r;
    return settle(c, err);
}

int rk_pg_catch_up(struct rk_pg *c, struct rk_err *err)
{
    return c->queued_n > 0 ? settle(c, err) : 0;
}

unsigned rk_pg_trips(const struct rk_pg *c)
{
    return c->trips;
}

int rk_pg_script(struct rk_pg *c, const char *sql, struct rk_err *err)
{
    int r = ready(c, "script", err);

    if (r == 0 && c->queued_n > 0)
        r = settle(c, err);
    if (r == 0 && c->begin) {
        r = simple(c, c->begin, "begin", err);
        c->begin = NULL;
    }
    if (r < 0)
        return r;
    return simple(c, sql, "script", err);
}

int rk_pg_ping(struct rk_pg *c, struct rk_err *err)
{
    static const struct rk_pg_stmt ping = { "ping", "SELECT 1" };
    int r = rk_pg_run0(c, &ping, NULL, err);

    /* A connection that died in silence is found here: one fresh attempt tells whether the server
     * is there. */
    if (r == RK_UNAVAILABLE && !c->in_tx && !c->conn)
        r = rk_pg_run0(c, &ping, NULL, err);
    return r;
}

/* === Transactions === */

/* COMMIT, and behind it what is asked of what was committed. */
static int send_commit(struct rk_pg *c, struct rk_err *err)
{
    int r = c->tx.shared ? c->share->close(c->share, c, err) : 0;

    if (r == 0)
        r = push(c, NULL, "COMMIT", NULL, NULL, err);
    if (r < 0)
        return r;
    if (c->then) {
        c->behind_commit = true;
        c->then(c->then_arg);
        c->behind_commit = false;
    }
    r = settle(c, err);
    if (r == RK_UNAVAILABLE && c->put_off)
        c->spoilt = r;
    return r;
}

/* What is asked of what was committed is asked now; only for such an answer is waited. */
static int put_off(struct rk_pg *c, struct rk_err *err)
{
    bool awaited = false;
    int r;

    if (c->then)
        c->then(c->then_arg);
    for (unsigned i = 0; i < c->queued_n; i++)
        awaited |= c->queue[i].out != NULL;
    r = awaited ? settle(c, err) : 0;
    if (r < 0)
        return r;
    c->put_off = true;
    c->joined = false;
    return 0;
}

static void forget_answers(struct rk_pg *c)
{
    for (unsigned i = 0; i < c->queued_n; i++)
        c->queue[i].out = NULL; /* whoever wanted it may be gone */
}

/* Of the open transaction, and of all that was put off in it. */
static void roll_back(struct rk_pg *c)
{
    if (c->put_off && !c->spoilt)
        c->spoilt = RK_CONFLICT;
    c->in_tx = c->put_off = c->joined = false;
    c->begin = NULL;
    forget_answers(c);
    if (c->conn && c->queued_n > 0)
        (void)settle(c, NULL);
    if (!c->conn || PQtransactionStatus(c->conn) == PQTRANS_IDLE)
        return;
    if (simple(c, "ROLLBACK", "rollback", NULL) < 0)
        pg_drop(c); /* never reuse a session whose state is unknown */
}

static int commit(struct rk_pg *c, bool may_put_off, struct rk_err *err)
{
    int r = ready(c, "commit", err);

    if (r == 0 && PQtransactionStatus(c->conn) == PQTRANS_INERROR)
        /* COMMIT would answer "ROLLBACK" without an error. */
        r = rk_fail(err, RK_INTERNAL, "postgres: commit of a failed transaction");
    if (r == 0 && may_put_off && c->tx.shared && !c->begin && c->share->more(c->share)) {
        r = put_off(c, err);
        if (r == 0)
            return 0;
    } else if (r == 0 && !c->begin) {
        r = send_commit(c, err);
    }
    if (r < 0) {
        roll_back(c);
        return r;
    }
    if (c->tx.shared)
        c->share = NULL;
    c->in_tx = c->put_off = c->joined = false;
    c->begin = NULL;
    return 0;
}

int rk_pg_begin(struct rk_pg *c,
                enum rk_pg_isolation isolation,
                struct rk_pg_tx **out,
                struct rk_err *err)
{
    bool between = c->put_off && !c->joined, joins = between && isolation == RK_PG_SHARED;
    const char *sql = NULL;
    int r = 0;

    if ((c->guarding || between) && isolation == RK_PG_REPEATABLE_READ_ONLY) {
        c->inner = (struct rk_pg_tx){ .c = c, .inner = true };
        *out = &c->inner;
        return 0;
    }
    if (between && !joins)
        r = commit(c, false, err);
    if (r < 0)
        return r;
    if (c->in_tx && !joins)
        return rk_fail(err, RK_INTERNAL, "postgres: a transaction is open already");
    switch (isolation) {
    case RK_PG_READ_COMMITTED:
    case RK_PG_SHARED:
        sql = "BEGIN";
        break;
    case RK_PG_REPEATABLE_READ_ONLY:
        sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        break;
    }
    r = ready(c, "begin", err);
    if (r < 0)
        return r;
    *out = &c->tx;
    c->wrote = false;
    c->joined = joins;
    if (joins)
        return 0;
    c->begin = sql;
    c->in_tx = true;
    c->tx = (struct rk_pg_tx){ .c = c, .shared = c->share && isolation == RK_PG_SHARED };
    return 0;
}

int rk_pg_commit(struct rk_pg_tx **tx, struct rk_err *err)
{
    struct rk_pg_tx *t = *tx;

    *tx = NULL;
    return t->inner ? 0 : commit(t->c, true, err);
}

void rk_pg_rollback(struct rk_pg_tx *tx)
{
    struct rk_pg *c;

    if (!tx || tx->inner || !tx->c->in_tx)
        return;
    c = tx->c;
    if (!c->joined) {
        roll_back(c);
        return;
    }
    c->joined = false;
    if (c->wrote)
        c->spoilt = RK_CONFLICT;
    forget_answers(c);
}

void rk_pg_share(struct rk_pg *c, struct rk_pg_share *s)
{
    c->share = s;
}

struct rk_pg_share *rk_pg_shared(const struct rk_pg *c)
{
    return c->share;
}

bool rk_pg_put_off(const struct rk_pg *c)
{
    return c->put_off && !c->spoilt;
}

int rk_pg_share_end(struct rk_pg *c, struct rk_err *err)
{
    int r = c->put_off ? commit(c, false, err) : 0;

    if (c->spoilt)
        r = rk_fail(err, c->spoilt, "postgres: the commit that several changes share is spoilt");
    c->spoilt = 0;
    c->share = NULL;
    return r;
}

void rk_pg_then(struct rk_pg *c, rk_pg_then_fn *fn, void *arg)
{
    c->then = fn;
    c->then_arg = arg;
}

void rk_pg_guard(struct rk_pg *c, rk_pg_guard_fn *fn, void *arg)
{
    c->guard = fn;
    c->guard_arg = arg;
}

int rk_pg_ask_guard(struct rk_pg *c, struct rk_err *err)
{
    int r;

    if (!c->guard || c->guarding)
        return 0;
    c->guarding = true;
    r = c->guard(c->guard_arg, err);
    c->guarding = false;
    return r;
}
