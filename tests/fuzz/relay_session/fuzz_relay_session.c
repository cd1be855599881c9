// links: relay
/*
 * The session protocol under hostile sequences: agents of three loops connect, log in under a few
 * IDs, say anything, subscribe, leave, while the loops read one another's mail in any order. The
 * input is a program of such steps. At its end, when all mail is read, every loop agrees who has
 * which ID, no ID has two sessions, and what each subscriber was told last is true.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/relay_fake.h"

#define CORES 3
#define SESSIONS 16
#define IDS 5

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum told {
    TOLD_NOTHING,
    TOLD_ONLINE,
    TOLD_OFFLINE,
};

/* What one subscriber may believe about one ID. */
struct belief {
    bool subscribed, armed;
    enum told told;
};

struct agent {
    struct fake *fake; /* NULL: not connected */
    struct belief about[IDS];
};

struct world {
    struct cores *cores;
    struct agent agents[SESSIONS];
    struct agent *asking; /* its SUBSCRIBE is being answered */
    const uint8_t *p;     /* the program */
    size_t n;
};

static uint8_t next(struct world *w)
{
    if (w->n == 0)
        return 0;
    w->n--;
    return *w->p++;
}

static int which(const uint8_t *id)
{
    for (unsigned k = 0; k < IDS; k++) {
        struct relay_id known = fake_id(k);

        if (memcmp(id, known.b, RELAY_ID_LEN) == 0)
            return (int)k;
    }
    return -1;
}

static void on_control(struct fake *f, const uint8_t *p, size_t n)
{
    struct world *w = f->arg;

    if (p[1] != RELAY_PEERS_ONLINE && p[1] != RELAY_PEERS_WENT_OFFLINE)
        return;
    for (unsigned i = 0; i < SESSIONS; i++) {
        struct agent *a = &w->agents[i];

        if (a->fake != f)
            continue;
        for (size_t at = 2; at < n; at += RELAY_ID_LEN) {
            int k = which(p + at);
            struct belief *b = k < 0 ? NULL : &a->about[k];

            if (!b)
                continue;
            assert(b->subscribed); /* nobody hears what it did not ask for */
            if (p[1] == RELAY_PEERS_ONLINE) {
                assert(w->asking == a || b->armed);
                b->told = TOLD_ONLINE;
                if (w->asking != a)
                    b->armed = false;
            } else {
                b->told = TOLD_OFFLINE;
            }
        }
    }
}

/* Agents that were closed end as at the end of a turn, until nobody else is. */
static void bury(struct world *w)
{
    bool again = true;

    while (again) {
        again = false;
        for (unsigned i = 0; i < SESSIONS; i++) {
            struct agent *a = &w->agents[i];

            if (!a->fake || !a->fake->closing)
                continue;
            fake_end(a->fake);
            *a = (struct agent){ 0 };
            again = true;
        }
    }
}

/* The model's side of a subscription, before the session sees it. */
static void believe(struct agent *a, const uint8_t *m, size_t n)
{
    if (a->fake->session.state == SESSION_NEW || n < 2 || m[0] != RELAY_VERSION ||
        (m[1] != RELAY_SUBSCRIBE && m[1] != RELAY_UNSUBSCRIBE) || (n - 2) % RELAY_ID_LEN != 0)
        return;
    for (size_t at = 2; at < n; at += RELAY_ID_LEN) {
        int k = which(m + at);

        if (k < 0)
            continue;
        a->about[k] = (struct belief){ 0 };
        if (m[1] == RELAY_SUBSCRIBE)
            a->about[k].subscribed = a->about[k].armed = true;
    }
}

static void say(struct world *w, struct agent *a, const uint8_t *m, size_t n)
{
    struct rk_err err = { 0 };

    believe(a, m, n);
    w->asking = a;
    (void)fake_say(a->fake, m, n, &err);
    w->asking = NULL;
}

static void ids(struct world *w, struct agent *a)
{
    uint8_t m[RELAY_MAX_MESSAGE], b = next(w);
    enum relay_type type = b & 1 ? RELAY_UNSUBSCRIBE : RELAY_SUBSCRIBE;
    unsigned count = (b >> 1) % 8;

    if (b == 0xff)
        count = RELAY_MAX_IDS;
    say(w, a, m, fake_ids(type, next(w) % IDS, count, m));
}

static void anything(struct world *w, struct agent *a)
{
    size_t n = next(w);

    if (n > w->n)
        n = w->n;
    say(w, a, w->p, n);
    w->p += n;
    w->n -= n;
}

static void transport(struct world *w, struct agent *a)
{
    uint8_t m[RELAY_MAX_MESSAGE] = { RELAY_VERSION, RELAY_TRANSPORT };
    struct relay_id to = fake_id(next(w) % (IDS + 1));
    unsigned kind = next(w), flood = kind == 0xff; /* enough to fill the ring */

    memcpy(m + 2, to.b, RELAY_ID_LEN);
    for (unsigned i = 0; i < (flood ? 18 : 1) && !a->fake->closing; i++)
        say(w, a, m, RELAY_HEAD_LEN + (flood ? 8000 : (size_t)kind));
}

static void pass_time(struct world *w)
{
    uint64_t ms = (uint64_t)next(w) * 500;

    for (uint32_t i = 0; i < CORES; i++)
        cores_at(w->cores, i)->now_ms += ms;
    for (unsigned i = 0; i < SESSIONS; i++) {
        struct agent *a = &w->agents[i];

        if (a->fake && !a->fake->closing)
            (void)session_tick(&a->fake->session, a->fake->session.core->now_ms);
    }
}

static void step(struct world *w)
{
    uint8_t op = next(w), who = next(w);
    struct agent *a = &w->agents[who % SESSIONS];
    struct core *core = cores_at(w->cores, who % CORES);
    uint8_t m[RELAY_MAX_AUTH];
    struct relay_id id;

    if (op % 8 == 0) {
        core_mail(core);
        core_poke(core);
    } else if (op % 8 == 1) {
        pass_time(w);
    } else if (!a->fake) {
        a->fake = fake_open(core);
        a->fake->on_control = on_control;
        a->fake->arg = w;
    } else if (op % 8 == 2) {
        a->fake->closing = true; /* hung up */
    } else if (op % 8 == 3) {
        id = fake_id(next(w) % IDS);
        say(w, a, m, fake_auth(&id, m));
    } else if (op % 8 == 4) {
        ids(w, a);
    } else if (op % 8 == 5) {
        transport(w, a);
    } else {
        anything(w, a);
    }
    bury(w);
}

static void check_beliefs(const struct agent *a, unsigned k, bool online)
{
    const struct belief *b = &a->about[k];

    if (!b->subscribed)
        return;
    if (b->told == TOLD_ONLINE)
        assert(online); /* a missing "offline" would leave a dead tunnel standing */
    else if (b->armed)
        assert(!online); /* a missing "online" would leave it waiting */
}

static void check(struct world *w)
{
    for (unsigned k = 0; k < IDS; k++) {
        struct relay_id id = fake_id(k);
        struct session *holder = NULL;

        for (unsigned i = 0; i < SESSIONS; i++) {
            struct fake *f = w->agents[i].fake;

            if (!f || f->session.state == SESSION_NEW ||
                memcmp(f->session.id.b, id.b, RELAY_ID_LEN) != 0)
                continue;
            assert(!holder && f->session.state == SESSION_ONLINE && f->released);
            holder = &f->session;
        }
        for (uint32_t i = 0; i < CORES; i++) {
            const struct handle *h = directory_find(cores_at(w->cores, i)->directory, &id);

            assert(!h == !holder);
            if (h)
                assert(core_session(cores_at(w->cores, h->core), *h) == holder);
        }
        for (unsigned i = 0; i < SESSIONS; i++)
            if (w->agents[i].fake)
                check_beliefs(&w->agents[i], k, holder != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct cores *cores; /* kept: every input leaves them empty, as is checked */
    struct world w = { .p = p, .n = n };

    if (!cores)
        cores = fake_cores(CORES);
    w.cores = cores;
    while (w.n > 0)
        step(&w);
    for (unsigned round = 0; round < 4; round++) {
        fake_settle(w.cores, CORES);
        bury(&w); /* an older session of an ID ends when the newer one's mail is read */
    }
    check(&w);
    for (unsigned i = 0; i < SESSIONS; i++)
        if (w.agents[i].fake)
            w.agents[i].fake->closing = true;
    bury(&w);
    fake_settle(w.cores, CORES);
    for (uint32_t i = 0; i < CORES; i++)
        for (unsigned k = 0; k < IDS; k++) {
            struct relay_id id = fake_id(k);

            assert(!directory_find(cores_at(w.cores, i)->directory, &id));
            assert(cores_at(w.cores, i)->counts.v[COUNT_PEERS] == 0);
            assert(cores_at(w.cores, i)->counts.v[COUNT_SUBSCRIPTIONS] == 0);
        }
    return 0;
}
