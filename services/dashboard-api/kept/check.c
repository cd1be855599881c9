/* See check.h. */

#include "services/dashboard-api/kept/check.h"

#include "libcommon/base/alloc.h"
#include "libcommon/pg/asker.h"

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
    struct rk_list items;
    char hashes[ASKED_MAX][CHECK_HASH_LEN + 1]; /* each once */
    struct rk_str hash[ASKED_MAX];
    unsigned n;
    bool any; /* whether there is an account is asked, too */
    struct rk_pg_param param;
    struct rk_question of_tokens, of_any;
    unsigned open;      /* how many of these two are under way */
    int row[ASKED_MAX]; /* of each hash, -1 = none */
};

struct check {
    struct rk_loop *loop;
    struct rk_asker *asker;
    struct rk_list waiting;
    size_t waiting_n;
    struct question question;
    struct rk_task turn;
    bool turning; /* `turn` is to run */
    bool stopped;
    unsigned failures;
};

static void on_tokens(struct rk_question *rq);
static void on_any(struct rk_question *rq);

struct check *check_new(struct rk_loop *l, const char *postgres, const char *instance)
{
    struct check *c = rk_new(struct check);
    struct question *q = &c->question;

    c->loop = l;
    c->asker = rk_asker_new(l, postgres, instance);
    rk_list_init(&c->waiting);
    rk_list_init(&q->items);
    q->of_tokens.on_done = on_tokens;
    q->of_any.on_done = on_any;
    q->of_any.stmt = &any_stmt;
    return c;
}

void check_stop(struct check *c)
{
    c->stopped = true;
    rk_asker_stop(c->asker);
}

unsigned check_failures(const struct check *c)
{
    return c->failures;
}

void check_free(struct check *c)
{
    if (!c)
        return;
    rk_asker_free(c->asker);
    rk_free(c);
}

static void put(struct check *c)
{
    struct question *q = &c->question;

    q->open = (q->n > 0) + q->any;
    for (unsigned i = 0; i < q->n; i++)
        q->hash[i] = rk_str(q->hashes[i]);
    q->param = q->n == 1 ? RK_P_STR(q->hash[0]) : RK_P_ARRAY(q->hash, q->n);
    q->of_tokens.stmt = q->n == 1 ? &one_stmt : &several_stmt;
    q->of_tokens.params = &q->param;
    q->of_tokens.n = 1;
    if (q->n > 0)
        rk_asker_ask(c->asker, &q->of_tokens);
    if (q->any)
        rk_asker_ask(c->asker, &q->of_any);
}

static void tell_token(const struct question *q, struct check_item *it)
{
    const struct rk_pg_result *res = q->of_tokens.res;
    int row = res ? q->row[it->place] : -1;

    if (row >= 0)
        it->known = rk_str_copy(rk_pg_str(res, row, PAT), it->pat_id, sizeof(it->pat_id)) &&
                    rk_str_copy(rk_pg_str(res, row, USER), it->user_id, sizeof(it->user_id)) &&
                    rk_str_copy(rk_pg_str(res, row, VERSION), it->version, sizeof(it->version)) &&
                    rk_str_copy(rk_pg_str(res, row, PRESENCE), it->presence, sizeof(it->presence));
}

static void tell_any(const struct question *q, struct check_item *it)
{
    if (q->of_any.res)
        it->known = rk_str_copy(rk_pg_str(q->of_any.res, 0, 0), it->version, sizeof(it->version));
}

static void ask_soon(struct check *c);

/* One half of the question is answered: who waited for it goes home. */
static void home(struct check *c, struct rk_question *half)
{
    struct question *q = &c->question;
    bool of_tokens = half == &q->of_tokens;
    struct rk_list items, *n, *tmp;

    c->failures += half->r < 0;
    rk_list_init(&items);
    rk_list_each(&q->items, n, tmp)
    {
        struct check_item *it = rk_list_entry(n, struct check_item, node);

        if ((it->hash[0] != '\0') != of_tokens)
            continue;
        (of_tokens ? tell_token : tell_any)(q, it);
        rk_list_remove(n);
        rk_list_append(&items, n);
    }
    rk_pg_result_free(rk_steal(half->res));
    q->open--;
    rk_list_each(&items, n, tmp)
    {
        struct check_item *it = rk_list_entry(n, struct check_item, node);

        rk_list_remove(n);
        it->on_done(it);
    }
    /* After them: while their answers are written, others come who can join the next question. */
    ask_soon(c);
}

static void on_tokens(struct rk_question *rq)
{
    struct question *q = rk_container_of(rq, struct question, of_tokens);

    for (unsigned i = 0; i < q->n; i++)
        q->row[i] = -1;
    for (int row = 0; rq->res && row < rk_pg_rows(rq->res); row++)
        for (unsigned i = 0; i < q->n; i++)
            if (rk_str_eq(q->hash[i], rk_pg_str(rq->res, row, HASH)))
                q->row[i] = row;
    home(rk_container_of(q, struct check, question), rq);
}

static void on_any(struct rk_question *rq)
{
    struct question *q = rk_container_of(rq, struct question, of_any);

    home(rk_container_of(q, struct check, question), rq);
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
    if (q->open > 0 || rk_list_empty(&c->waiting))
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
    put(c);
}

/* Once everything that has come by now has been read: it shares the question. */
static void ask_soon(struct check *c)
{
    if (c->turning || c->question.open > 0 || rk_list_empty(&c->waiting))
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
    ask_soon(c);
    return true;
}
