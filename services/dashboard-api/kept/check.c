/* See check.h. */

#include "services/dashboard-api/kept/check.h"

#include "libcommon/base/alloc.h"
#include "libcommon/loop/workers.h"
#include "libcommon/pg/pg.h"

#define WAITING_MAX 4096
#define ASKED_MAX 256 /* tokens in one question */

/*
 * xmin is the transaction that wrote the row. Most questions are about one token, and are planned
 * once for all: with an array the server believes that it gains by planning each time.
 */
#define COLUMNS                                                                                    \
    "SELECT t.hash, t.id, u.id, a.xmin::text || '.' || u.xmin::text, coalesce((SELECT "            \
    "p.xmin::text FROM account_presence p WHERE p.account_id = a.id), '') FROM pat t JOIN users "  \
    "u ON u.id = t.user_id JOIN account a ON a.id = u.account_id WHERE t.expires_at > now() AND "  \
    "NOT u.blocked AND NOT u.pending_approval AND t.hash = "
static const struct rk_pg_stmt one_stmt = { "check_one", COLUMNS "$1" };
static const struct rk_pg_stmt several_stmt = { "check_several", COLUMNS "ANY ($1::text[])" };
enum {
    HASH,
    PAT,
    USER,
    VERSION,
    PRESENCE
};
static const struct rk_pg_stmt any_stmt = { "check_any", "SELECT EXISTS (SELECT 1 FROM account)" };

struct question {
    struct rk_job job;
    struct rk_list items;
    char hashes[ASKED_MAX][CHECK_HASH_LEN + 1]; /* each once */
    unsigned n;
    bool any; /* whether there is an account is asked, too */
    int r;
    struct rk_pg_result *res, *any_res;
    int row[ASKED_MAX]; /* of each hash, -1 = none */
};

struct check {
    struct rk_loop *loop;
    struct rk_workers *workers;
    char *postgres, *instance;
    struct rk_list waiting;
    size_t waiting_n;
    struct question question;
    struct rk_task turn;
    bool turning; /* `turn` is to run */
    bool busy, stopped;
    unsigned failures;
};

static void *open_pg(void *arg)
{
    struct check *c = arg;

    return rk_pg_new(c->postgres, c->instance);
}

static void close_pg(void *worker)
{
    rk_pg_free(worker);
}

struct check *check_new(struct rk_loop *l, const char *postgres, const char *instance)
{
    static const struct rk_workers_ops ops = { .open = open_pg, .close = close_pg };
    struct check *c = rk_new(struct check);

    c->loop = l;
    c->postgres = rk_strdup(postgres);
    c->instance = rk_strdup(instance);
    rk_list_init(&c->waiting);
    rk_list_init(&c->question.items);
    c->workers = rk_workers_new(1, 1, &ops, c);
    return c;
}

void check_stop(struct check *c)
{
    c->stopped = true;
    rk_workers_free(c->workers);
}

unsigned check_failures(const struct check *c)
{
    return c->failures;
}

void check_free(struct check *c)
{
    if (!c)
        return;
    rk_free(c->postgres);
    rk_free(c->instance);
    rk_free(c);
}

static int ask_tokens(struct question *q, struct rk_pg *pg, struct rk_err *err)
{
    struct rk_str hashes[ASKED_MAX];
    int r;

    for (unsigned i = 0; i < q->n; i++) {
        hashes[i] = rk_str(q->hashes[i]);
        q->row[i] = -1;
    }
    r = q->n == 1 ? rk_pg_run(pg, &one_stmt, &q->res, err, RK_P_STR(hashes[0]))
                  : rk_pg_run(pg, &several_stmt, &q->res, err, RK_P_ARRAY(hashes, q->n));
    for (int row = 0; r == 0 && row < rk_pg_rows(q->res); row++)
        for (unsigned i = 0; i < q->n; i++)
            if (rk_str_eq(hashes[i], rk_pg_str(q->res, row, HASH)))
                q->row[i] = row;
    return r;
}

static void run(struct rk_job *j, void *worker)
{
    struct question *q = rk_container_of(j, struct question, job);
    struct rk_err err = { 0 };

    q->r = 0;
    if (q->n > 0)
        q->r = ask_tokens(q, worker, &err);
    if (q->r == 0 && q->any)
        q->r = rk_pg_run0(worker, &any_stmt, &q->any_res, &err);
}

static void tell(const struct question *q, struct check_item *it)
{
    bool of_token = it->hash[0] != '\0';
    int row = of_token && q->r == 0 ? q->row[it->place] : -1;

    if (q->r == 0 && !of_token)
        it->known = rk_str_copy(rk_pg_str(q->any_res, 0, 0), it->version, sizeof(it->version));
    if (row >= 0)
        it->known =
            rk_str_copy(rk_pg_str(q->res, row, PAT), it->pat_id, sizeof(it->pat_id)) &&
            rk_str_copy(rk_pg_str(q->res, row, USER), it->user_id, sizeof(it->user_id)) &&
            rk_str_copy(rk_pg_str(q->res, row, VERSION), it->version, sizeof(it->version)) &&
            rk_str_copy(rk_pg_str(q->res, row, PRESENCE), it->presence, sizeof(it->presence));
}

static void ask_soon(struct check *c);

static void done(struct rk_job *j)
{
    struct question *q = rk_container_of(j, struct question, job);
    struct check *c = rk_container_of(q, struct check, question);
    struct rk_list items, *n, *tmp;

    if (j->refused)
        q->r = RK_UNAVAILABLE;
    if (q->r < 0)
        c->failures++;
    rk_list_init(&items);
    rk_list_each(&q->items, n, tmp)
    {
        rk_list_remove(n);
        tell(q, rk_list_entry(n, struct check_item, node));
        rk_list_append(&items, n);
    }
    rk_pg_result_free(rk_steal(q->res));
    rk_pg_result_free(rk_steal(q->any_res));
    c->busy = false;
    ask_soon(c);
    rk_list_each(&items, n, tmp)
    {
        struct check_item *it = rk_list_entry(n, struct check_item, node);

        rk_list_remove(n);
        it->on_done(it);
    }
}

/* The place of the hash among those that are asked for; ASKED_MAX when there is no room. */
static unsigned place_of(struct question *q, const char *hash)
{
    unsigned i;

    for (i = 0; i < q->n; i++)
        if (strcmp(q->hashes[i], hash) == 0)
            return i;
    if (i < ASKED_MAX) {
        memcpy(q->hashes[i], hash, sizeof(q->hashes[i]));
        q->n++;
    }
    return i;
}

/* All that wait, as far as they fit. */
static void ask(struct rk_task *t)
{
    struct check *c = rk_container_of(t, struct check, turn);
    struct question *q = &c->question;
    struct rk_list *n, *tmp;

    c->turning = false;
    if (c->busy || rk_list_empty(&c->waiting))
        return;
    q->n = 0;
    q->any = false;
    rk_list_each(&c->waiting, n, tmp)
    {
        struct check_item *it = rk_list_entry(n, struct check_item, node);

        if (it->hash[0] == '\0')
            q->any = true;
        else if ((it->place = place_of(q, it->hash)) == ASKED_MAX)
            break;
        rk_list_remove(n);
        c->waiting_n--;
        rk_list_append(&q->items, n);
    }
    q->job.run = run;
    q->job.done = done;
    c->busy = true;
    if (!c->stopped && rk_workers_submit(c->workers, c->loop, &q->job))
        return;
    q->job.refused = true;
    done(&q->job);
}

/* Once everything that has come by now has been read: it shares the question. */
static void ask_soon(struct check *c)
{
    if (c->turning || rk_list_empty(&c->waiting))
        return;
    c->turning = true;
    c->turn.run = ask;
    rk_loop_defer(c->loop, &c->turn);
}

bool check_add(struct check *c, struct check_item *it)
{
    if (c->stopped || c->waiting_n == WAITING_MAX)
        return false;
    it->known = false;
    c->waiting_n++;
    rk_list_append(&c->waiting, &it->node);
    if (!c->busy)
        ask_soon(c);
    return true;
}
