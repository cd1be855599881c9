/*
 * See check.h. What was said is good until something is committed, anywhere in the database: a
 * snapshot names all transactions that it does not see, so two that read the same see the same. To
 * ask for that alone touches no table and costs Postgres a third of the whole question. It is asked
 * first when all was said before, and such a question was not in vain lately.
 */

#include "services/dashboard-api/kept/check.h"

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/pg/asker.h"

#define WAITING_MAX 4096
#define ASKED_MAX 256     /* tokens in one question */
#define GATHER_MAX 4      /* looks for more before one is put */
#define SNAPSHOT_MAX 1024 /* a longer one is like none other */
#define AFTER_VAIN 4      /* whole questions after one that was in vain */

/*
 * xmin is the transaction that wrote the row. Most questions are about one token, and are planned
 * once for all: with an array the server believes that it gains by planning each time. There is
 * always a row, for the snapshot. `ms` are left until the token ends, or many enough.
 */
#define OF_TOKENS(hashes)                                                                          \
    "SELECT pg_current_snapshot()::text, x.* FROM (SELECT) one LEFT JOIN (SELECT t.hash, t.id, "   \
    "u.id, a.xmin::text || '.' || u.xmin::text, coalesce((SELECT p.xmin::text FROM "               \
    "account_presence p WHERE p.account_id = a.id), ''), floor(extract(epoch FROM "                \
    "least(t.expires_at, now() + interval '1 min') - now()) * 1000)::bigint FROM pat t JOIN "      \
    "users "                                                                                       \
    "u ON u.id = t.user_id JOIN account a ON a.id = u.account_id WHERE t.expires_at > now() AND "  \
    "NOT u.blocked AND NOT u.pending_approval AND t.hash = " hashes                                \
    ") x (hash, pat, usr, version, presence, ms) ON true"
static const struct rk_pg_stmt one_stmt = { "check_one", OF_TOKENS("$1") };
static const struct rk_pg_stmt several_stmt = { "check_several", OF_TOKENS("ANY ($1::text[])") };
static const struct rk_pg_stmt any_stmt = {
    "check_any", "SELECT pg_current_snapshot()::text, EXISTS (SELECT 1 FROM account)"
};
static const struct rk_pg_stmt state_stmt = { "check_state", "SELECT pg_current_snapshot()::text" };
enum {
    SNAPSHOT,
    ANY,
    HASH = ANY,
    PAT,
    USER,
    VERSION,
    PRESENCE,
    MS
};

struct question {
    struct rk_list items;
    struct standing *of[ASKED_MAX]; /* each once */
    struct rk_str hash[ASKED_MAX];
    unsigned n;
    bool any; /* whether there is an account is asked, too */
    uint64_t put_ms;
    struct rk_pg_param param;
    struct rk_question of_state, of_tokens, of_any;
    unsigned open; /* how many of these three are under way */
};

struct check {
    struct rk_loop *loop;
    struct rk_asker *asker;
    struct rk_list waiting;
    size_t waiting_n;
    struct question question;
    struct standings *standings;
    struct standing any; /* of who has no token: `version` is whether there is an account */
    char snapshot[SNAPSHOT_MAX];
    uint64_t state;      /* of the database, counted: another snapshot is another state */
    unsigned after_vain; /* whole questions until the next that asks for the snapshot alone */
    struct rk_task turn;
    bool turning; /* `turn` is to run */
    bool stopped;
    unsigned failures;
    void (*gather)(void *arg);
    void *gather_arg;
};

static void on_state(struct rk_question *rq);
static void on_tokens(struct rk_question *rq);
static void on_any(struct rk_question *rq);

struct check *check_new(struct rk_loop *l, const char *postgres, const char *instance)
{
    struct check *c = rk_new(struct check);
    struct question *q = &c->question;

    c->loop = l;
    c->asker = rk_asker_new(l, postgres, instance);
    c->standings = standings_new();
    c->state = 1;
    rk_list_init(&c->waiting);
    rk_list_init(&q->items);
    q->of_state.on_done = on_state;
    q->of_state.stmt = &state_stmt;
    q->of_tokens.on_done = on_tokens;
    q->of_any.on_done = on_any;
    q->of_any.stmt = &any_stmt;
    return c;
}

void check_gather(struct check *c, void (*gather)(void *arg), void *arg)
{
    c->gather = gather;
    c->gather_arg = arg;
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
    standings_free(c->standings);
    rk_free(c);
}

/* --- the question --- */

/* All of it, whatever was said before. */
static void put_whole(struct check *c)
{
    struct question *q = &c->question;

    if (c->after_vain > 0)
        c->after_vain--;
    q->put_ms = rk_mono_ms();
    q->open = (q->n > 0) + q->any;
    for (unsigned i = 0; i < q->n; i++)
        q->hash[i] = rk_str(q->of[i]->hash);
    q->param = q->n == 1 ? RK_P_STR(q->hash[0]) : RK_P_ARRAY(q->hash, q->n);
    q->of_tokens.stmt = q->n == 1 ? &one_stmt : &several_stmt;
    q->of_tokens.params = &q->param;
    q->of_tokens.n = 1;
    if (q->n > 0)
        rk_asker_ask(c->asker, &q->of_tokens);
    if (q->any)
        rk_asker_ask(c->asker, &q->of_any);
}

/* Of the state that we know, and not about to end. */
static bool is_fresh(const struct check *c, const struct standing *s)
{
    return s->state == c->state && (!s->known || rk_mono_ms() < s->until_ms);
}

static bool all_fresh(const struct check *c)
{
    const struct question *q = &c->question;

    if (q->any && !is_fresh(c, &c->any))
        return false;
    for (unsigned i = 0; i < q->n; i++)
        if (!is_fresh(c, q->of[i]))
            return false;
    return true;
}

static void put(struct check *c)
{
    struct question *q = &c->question;

    if (c->after_vain > 0 || !all_fresh(c)) {
        put_whole(c);
        return;
    }
    q->open = 1;
    rk_asker_ask(c->asker, &q->of_state);
}

/* --- the answer --- */

static void tell(struct check_item *it, const struct standing *s)
{
    it->known = s->known;
    if (!s->known)
        return;
    memcpy(it->pat_id, s->pat_id, sizeof(it->pat_id));
    memcpy(it->version, s->version, sizeof(it->version));
    memcpy(it->presence, s->presence, sizeof(it->presence));
    (void)rk_str_copy(rk_str(s->user_id), it->user_id, sizeof(it->user_id));
}

static void ask_soon(struct check *c);

/* Answered, or not: who waited for it goes home. */
static void home(struct check *c, bool tokens, bool any)
{
    struct question *q = &c->question;
    struct rk_list items, *n, *tmp;

    rk_list_init(&items);
    rk_list_each(&q->items, n, tmp)
    {
        struct check_item *it = rk_list_entry(n, struct check_item, node);

        if (it->of == &c->any ? !any : !tokens)
            continue;
        if (it->of->state == c->state)
            tell(it, it->of);
        rk_list_remove(n);
        rk_list_append(&items, n);
    }
    if (tokens)
        for (unsigned i = 0; i < q->n; i++)
            q->of[i]->asked = false;
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

/* Which state an answer is of; false when there is none. What was said of another is forgotten. */
static bool take_state(struct check *c, const struct rk_question *rq)
{
    struct rk_str snapshot = rq->res ? rk_pg_str(rq->res, 0, SNAPSHOT) : rk_str("");
    bool lost = rq->r < 0 || rq->at_thread;

    c->failures += lost;
    if (!lost && rk_str_eq(snapshot, rk_str(c->snapshot)))
        return true;
    c->state++;
    if (!rk_str_copy(snapshot, c->snapshot, sizeof(c->snapshot)))
        c->snapshot[0] = '\0';
    return rq->r == 0;
}

static void on_state(struct rk_question *rq)
{
    struct question *q = rk_container_of(rq, struct question, of_state);
    struct check *c = rk_container_of(q, struct check, question);
    uint64_t was = c->state;
    bool said = take_state(c, rq);

    rk_pg_result_free(rk_steal(rq->res));
    if (!said || (c->state == was && all_fresh(c))) {
        home(c, true, true);
        return;
    }
    c->after_vain = AFTER_VAIN;
    put_whole(c);
}

/* Nobody is asked for in vain: who is not among the rows is nobody's. */
static void learn(struct check *c, const struct rk_pg_result *res)
{
    struct question *q = &c->question;

    for (unsigned i = 0; i < q->n; i++) {
        q->of[i]->state = c->state;
        q->of[i]->known = false;
    }
    for (int row = 0; row < rk_pg_rows(res) && !rk_pg_null(res, row, HASH); row++) {
        struct standing *s = standings_at(c->standings, rk_pg_str(res, row, HASH).p);

        s->until_ms = q->put_ms + (uint64_t)rk_pg_int(res, row, MS);
        s->known = rk_str_copy(rk_pg_str(res, row, PAT), s->pat_id, sizeof(s->pat_id)) &&
                   rk_str_copy(rk_pg_str(res, row, USER), s->user_id, sizeof(s->user_id)) &&
                   rk_str_copy(rk_pg_str(res, row, VERSION), s->version, sizeof(s->version)) &&
                   rk_str_copy(rk_pg_str(res, row, PRESENCE), s->presence, sizeof(s->presence));
    }
}

static void on_tokens(struct rk_question *rq)
{
    struct question *q = rk_container_of(rq, struct question, of_tokens);
    struct check *c = rk_container_of(q, struct check, question);

    if (take_state(c, rq))
        learn(c, rq->res);
    rk_pg_result_free(rk_steal(rq->res));
    home(c, true, false);
}

static void on_any(struct rk_question *rq)
{
    struct question *q = rk_container_of(rq, struct question, of_any);
    struct check *c = rk_container_of(q, struct check, question);

    if (take_state(c, rq)) {
        c->any.state = c->state;
        c->any.until_ms = UINT64_MAX;
        c->any.known =
            rk_str_copy(rk_pg_str(rq->res, 0, ANY), c->any.version, sizeof(c->any.version));
    }
    rk_pg_result_free(rk_steal(rq->res));
    home(c, false, true);
}

/* --- who asks --- */

/* False when there is no room. */
static bool take(struct check *c, struct check_item *it)
{
    struct question *q = &c->question;
    struct standing *s;

    if (it->hash[0] == '\0') {
        it->of = &c->any;
        q->any = true;
        return true;
    }
    if (q->n == ASKED_MAX)
        return false;
    s = standings_at(c->standings, it->hash);
    if (!s->asked)
        q->of[q->n++] = s;
    s->asked = true;
    it->of = s;
    return true;
}

/* Who has just been answered often asks again at once: as long as looking brings more, they come
 * along. */
static void gather(struct check *c)
{
    size_t were = 0;

    for (unsigned i = 0; c->gather && i < GATHER_MAX && c->waiting_n > were; i++) {
        were = c->waiting_n;
        c->gather(c->gather_arg);
    }
}

/* All that wait, as far as they fit. */
static void ask(struct rk_task *t)
{
    struct check *c = rk_container_of(t, struct check, turn);
    struct question *q = &c->question;
    struct rk_list *n, *tmp;

    if (q->open == 0)
        gather(c);
    c->turning = false;
    if (q->open > 0 || rk_list_empty(&c->waiting))
        return;
    standings_tidy(c->standings);
    q->n = 0;
    q->any = false;
    rk_list_each(&c->waiting, n, tmp)
    {
        struct check_item *it = rk_list_entry(n, struct check_item, node);

        if (!take(c, it))
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
