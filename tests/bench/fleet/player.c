#include "tests/bench/fleet/player.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/obs/log.h"
#include "tests/bench/fleet/agent.h"
#include "tests/bench/fleet/pending.h"
#include "tests/bench/fleet/prober.h"
#include "tests/bench/fleet/relayer.h"
#include "tests/bench/fleet/signaller.h"
#include "tests/bench/fleet/trust.h"

#define PENDING_MAX 64
#define WIND_DOWN_MS 120000 /* after a run, until everybody is there again */
#define QUIET_MS 1500       /* without a map: what was under way has come */
#define SWEEP_MS 1000
#define PLAIN_MAX ((size_t)64 * 1024 * 1024)

struct group {
    uint32_t answered; /* the newest change that was acknowledged */
    uint32_t pendings;
    struct pending pending[PENDING_MAX];
};

struct player {
    struct fleet fleet;
    struct prober *prober;
    uv_poll_t poll;
    int fd;
    struct group *group;
    const struct step *step; /* NULL: between two */
    uint32_t number;         /* of the step */
    uint64_t begun_ms, ticked_ns, swept_ms, map_ms;
    bool settle;              /* no more changes come */
    bool checking;            /* verify: the second half has begun */
    uint32_t next, under_way; /* of agents, by number from 0 */
    uint32_t online, stuck, left;
    uint32_t turn; /* whose turn it is, for activities that go round */
    double due[ACTIVITIES];
};

static uint32_t agents_of(const struct player *p)
{
    return p->fleet.end - p->fleet.first;
}

void fleet_fatal(struct fleet *f, const char *fmt, ...)
{
    va_list ap;

    (void)f;
    (void)fputs("rookery-fleet: ", stderr);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    _exit(1);
}

uint32_t plan_group_first(const struct plan *p, uint32_t group)
{
    return (uint32_t)(group * p->scenario.agents / p->scenario.groups);
}

uint32_t plan_group_of(const struct plan *p, uint32_t agent)
{
    return (uint32_t)(((agent + 1ull) * p->scenario.groups - 1) / p->scenario.agents);
}

void plan_span(const struct plan *p, uint32_t self, uint32_t *out_first, uint32_t *out_end)
{
    uint32_t group = plan_group_of(p, self);

    *out_first = p->all_see_all ? 0 : plan_group_first(p, group);
    *out_end = p->all_see_all ? (uint32_t)p->scenario.agents : plan_group_first(p, group + 1);
}

struct agent *fleet_agent(struct fleet *f, uint32_t number)
{
    return number >= f->first && number < f->end ? &f->agent[number - f->first] : NULL;
}

static void say(struct player *p, enum note_kind kind)
{
    struct note n = { .kind = kind, .which = p->number };

    if (send(p->fd, &n, sizeof(n), MSG_NOSIGNAL) != (ssize_t)sizeof(n))
        _exit(1); /* the conductor is gone */
}

static void ended_way(struct agent *a)
{
    struct player *p = a->fleet->owner;

    if (!a->under_way)
        return;
    a->under_way = false;
    p->under_way--;
}

/* -- changes -- */

/* Whoever was online once, and has not been stopped since: it may have lost its connection. */
static bool expects(const struct agent *a, uint64_t at_ns)
{
    return a->first_ns != 0 && a->first_ns <= at_ns;
}

static uint64_t since(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? to_ns - from_ns : 0;
}

/* Everybody has it. */
static void over(struct player *p, const struct pending *c)
{
    if (c->last_ns > 0)
        tally_time(p->fleet.tally, METRIC_CHANGE_LAST, since(c->at_ns, c->last_ns));
}

static void drop(struct group *g, unsigned i)
{
    pending_done(&g->pending[i]);
    g->pending[i] = g->pending[--g->pendings];
}

static uint32_t member(const struct agent *a)
{
    return a->number - plan_group_first(a->fleet->plan, a->group);
}

static void on_map(struct agent *a, const struct map_facts *m, uint32_t before, bool fresh)
{
    struct player *p = a->fleet->owner;
    struct group *g = &p->group[a->group];
    uint64_t now = a->map_ns;

    (void)m;
    p->map_ms = rk_mono_ms();
    for (unsigned i = g->pendings; i-- > 0;) {
        struct pending *c = &g->pending[i];

        if (c->change <= before || c->change > a->change || !pending_take(c, member(a)))
            continue;
        if (expects(a, c->at_ns)) {
            tally_time(p->fleet.tally, METRIC_CHANGE, since(c->at_ns, now));
            pending_had(c, now);
        }
        if (c->left > 0)
            continue;
        over(p, c);
        drop(g, i);
    }
    if (a->checking && fresh) {
        a->checking = false;
        ended_way(a);
    }
}

static void changed(struct player *p, const struct note *n)
{
    struct group *g = &p->group[n->which];
    uint32_t from = plan_group_first(p->fleet.plan, n->which),
             to = plan_group_first(p->fleet.plan, n->which + 1);
    struct pending c;

    pending_init(&c, (uint32_t)n->change, n->at_ns);
    g->answered = (uint32_t)n->change;
    for (uint32_t i = from; i < to; i++) {
        struct agent *a = fleet_agent(&p->fleet, i);

        if (!a || !expects(a, c.at_ns))
            continue;
        if (a->change < c.change) {
            pending_await(&c, member(a));
            continue;
        }
        tally_time(p->fleet.tally, METRIC_CHANGE, since(c.at_ns, a->map_ns));
        pending_had(&c, a->map_ns);
    }
    if (c.left == 0) {
        over(p, &c);
        pending_done(&c);
        return;
    }
    if (g->pendings == PENDING_MAX)
        drop(g, PENDING_MAX - 1); /* somebody in it has gone off meanwhile */
    g->pending[g->pendings++] = c;
}

/* -- whether an agent is as it should be -- */

static uint32_t members_of(const struct player *p, const struct agent *a)
{
    uint32_t first, end;

    plan_span(p->fleet.plan, a->number, &first, &end);
    return end - first - 1;
}

static bool is_right(const struct player *p, const struct agent *a)
{
    return a->online && a->members == members_of(p, a) && a->change >= p->group[a->group].answered;
}

static bool all_are(const struct player *p, bool (*is)(const struct player *, const struct agent *))
{
    for (uint32_t i = 0; i < agents_of(p); i++)
        if (!is(p, &p->fleet.agent[i]) && p->fleet.agent[i].phase != PHASE_STUCK)
            return false;
    return true;
}

static bool is_online(const struct player *p, const struct agent *a)
{
    (void)p;
    return a->online;
}

static bool has_changes(const struct player *p, const struct agent *a)
{
    return a->online && a->change >= p->group[a->group].answered;
}

/* What is wrong with it, as a fault. */
static void blame(struct player *p, struct agent *a)
{
    struct tally *t = p->fleet.tally;

    if (a->phase == PHASE_STUCK)
        return; /* counted when it happened */
    if (!a->online)
        tally_fault(t, FAULT_LATE, "agent %u is not there", a->number);
    else if (a->change < p->group[a->group].answered)
        tally_fault(t, FAULT_CHANGE_LOST, "agent %u has change %u, where %u was acknowledged",
                    a->number, a->change, p->group[a->group].answered);
    else if (a->members != members_of(p, a))
        tally_fault(t, FAULT_MISSING, "agent %u has a map of %u others, not %u", a->number,
                    a->members, members_of(p, a));
}

/* -- steps -- */

static void step_done(struct player *p)
{
    struct tally *t = p->fleet.tally;

    t->agents = agents_of(p);
    for (uint32_t i = 0; i < agents_of(p); i++)
        t->online += p->fleet.agent[i].online;
    for (uint32_t g = 0; g < p->fleet.plan->scenario.groups; g++)
        while (p->group[g].pendings > 0)
            drop(&p->group[g], 0);
    p->step = NULL;
    say(p, NOTE_DONE);
}

static bool may_start(const struct player *p)
{
    uint64_t most = step_at_once(p->step, agents_of(p), p->fleet.plan->scenario.agents);

    return p->next < agents_of(p) && (most == 0 || p->under_way < most);
}

static void start_more(struct player *p)
{
    while (may_start(p)) {
        struct agent *a = &p->fleet.agent[p->next++];

        if (a->phase == PHASE_STUCK)
            continue;
        a->under_way = true;
        p->under_way++;
        if (p->step->kind == STEP_JOIN)
            agent_start(a);
        else if (p->step->kind == STEP_LEAVE)
            agent_leave(a);
        else
            agent_check(a);
    }
}

static void on_online(struct agent *a)
{
    struct player *p = a->fleet->owner;

    if (p->step && p->step->kind == STEP_JOIN)
        ended_way(a);
}

static void on_left(struct agent *a)
{
    ended_way(a);
}

static void cut_share(struct player *p)
{
    for (uint32_t i = 0; i < agents_of(p); i++)
        if (p->fleet.agent[i].phase == PHASE_ENGINE && drand48() < p->step->share)
            agent_cut(&p->fleet.agent[i]);
}

static void step_begin(struct player *p, uint32_t number)
{
    p->number = number;
    p->step = &p->fleet.plan->scenario.step[number];
    p->begun_ms = p->map_ms = rk_mono_ms();
    p->ticked_ns = rk_mono_ns();
    p->settle = p->checking = false;
    p->next = p->under_way = 0;
    memset(p->due, 0, sizeof(p->due));
    if (p->step->kind == STEP_STORM)
        cut_share(p);
}

/* -- activities -- */

static struct agent *any_online(struct player *p)
{
    for (unsigned tries = 0; tries < 16; tries++) {
        struct agent *a = &p->fleet.agent[(uint32_t)(drand48() * agents_of(p))];

        if (a->online)
            return a;
    }
    return NULL;
}

static bool offer(struct player *p)
{
    struct agent *a = any_online(p), *other;
    uint32_t first, end, to;

    if (!a)
        return false;
    first = plan_group_first(p->fleet.plan, a->group);
    end = plan_group_first(p->fleet.plan, a->group + 1);
    to = first + (uint32_t)(drand48() * (end - first));
    other = fleet_agent(&p->fleet, to);
    if (to == a->number || (other && !other->online))
        return false;
    signaller_offer(a, to);
    return true;
}

static bool packet(struct player *p)
{
    for (unsigned tries = 0; tries < 64; tries++) {
        p->turn = (p->turn + 1) % agents_of(p);
        if (relayer_packet(&p->fleet.agent[p->turn]))
            return true;
    }
    return false;
}

static bool churn(struct player *p)
{
    struct agent *a = any_online(p);

    if (!a)
        return false;
    agent_stop(a);
    agent_start(a);
    return true;
}

static bool probe(struct player *p)
{
    if (!p->fleet.stun)
        fleet_fatal(&p->fleet, "Login names no STUN server");
    if (!p->prober)
        p->prober = prober_new(&p->fleet);
    prober_ask(p->prober);
    return true;
}

static void act(struct player *p, double seconds)
{
    static bool (*const what[ACTIVITIES])(struct player *) = {
        [ACTIVITY_CHURN] = churn,
        [ACTIVITY_SIGNAL] = offer,
        [ACTIVITY_RELAY] = packet,
        [ACTIVITY_STUN] = probe,
    };
    double share = agents_of(p) / (double)p->fleet.plan->scenario.agents;

    for (unsigned i = 0; i < ACTIVITIES; i++) {
        unsigned tries = 0;

        if (!what[i] || p->step->rate[i] <= 0)
            continue;
        /* What could not be done for a while is not made up for. */
        p->due[i] += p->step->rate[i] * share * (seconds < 0.1 ? seconds : 0.1);
        for (; p->due[i] >= 1 && tries < 4096; tries++)
            if (what[i](p))
                p->due[i] -= 1;
            else if (tries % 16 == 15)
                p->due[i] -= 1;
    }
}

/* -- the clock -- */

static bool is_quiet(const struct player *p, uint64_t now)
{
    return now - p->map_ms >= QUIET_MS;
}

/* The first half of verify waits until all maps are right and nothing moves any more. */
static bool verify_is_over(struct player *p, uint64_t now, bool late)
{
    if (!p->checking) {
        if (!late && (!all_are(p, is_right) || !is_quiet(p, now)))
            return false;
        for (uint32_t i = 0; i < agents_of(p); i++)
            if (!is_right(p, &p->fleet.agent[i]))
                blame(p, &p->fleet.agent[i]);
        p->checking = true;
    }
    if (late)
        return true;
    start_more(p);
    return p->next == agents_of(p) && p->under_way == 0 && all_are(p, is_right);
}

static bool is_over(struct player *p, uint64_t now, bool late)
{
    switch (p->step->kind) {
    case STEP_JOIN:
    case STEP_LEAVE:
        start_more(p);
        return p->next == agents_of(p) && p->under_way == 0;
    case STEP_RUN:
        return now - p->begun_ms >= p->step->for_ms && p->settle && all_are(p, has_changes);
    case STEP_BURST:
        return p->settle && all_are(p, has_changes);
    case STEP_STORM:
        return all_are(p, is_online);
    case STEP_VERIFY:
        return verify_is_over(p, now, late);
    case STEP_KINDS:
        break;
    }
    return true;
}

static void blame_late(struct player *p)
{
    for (uint32_t i = 0; i < agents_of(p); i++) {
        struct agent *a = &p->fleet.agent[i];

        if (p->step->kind == STEP_LEAVE && a->phase != PHASE_OFF)
            tally_fault(p->fleet.tally, FAULT_LATE, "agent %u could not leave", a->number);
        else if (p->step->kind == STEP_VERIFY && a->under_way)
            tally_fault(p->fleet.tally, FAULT_LATE, "agent %u got no fresh map", a->number);
        else if (p->step->kind == STEP_JOIN || p->step->kind == STEP_STORM)
            is_online(p, a) ? (void)0 : blame(p, a);
        else if (p->step->kind != STEP_LEAVE && !has_changes(p, a))
            blame(p, a);
        a->under_way = false;
    }
}

static void on_tick(struct wheel *w)
{
    struct player *p = rk_container_of(w, struct player, fleet.wheel);
    uint64_t now = rk_mono_ms(), now_ns = rk_mono_ns(), limit;
    double seconds = (double)(now_ns - p->ticked_ns) / 1e9;
    bool late;

    p->ticked_ns = now_ns;
    if (now - p->swept_ms >= SWEEP_MS) {
        p->swept_ms = now;
        for (uint32_t i = 0; i < agents_of(p); i++)
            agent_sweep(&p->fleet.agent[i], (uint32_t)(now / 1000));
    }
    if (!p->step)
        return;
    limit = p->step->kind == STEP_RUN ? p->step->for_ms + WIND_DOWN_MS : p->step->within_ms;
    late = now - p->begun_ms >= limit;
    if (p->step->kind == STEP_RUN && now - p->begun_ms < p->step->for_ms)
        act(p, seconds);
    if (is_over(p, now, late) && !late) {
        step_done(p);
    } else if (late) {
        blame_late(p);
        step_done(p);
    }
}

static void on_note(uv_poll_t *poll, int status, int events)
{
    struct player *p = poll->data;
    struct note n;
    ssize_t got_n;

    (void)events;
    if (status < 0)
        _exit(1);
    while ((got_n = recv(p->fd, &n, sizeof(n), MSG_DONTWAIT)) == (ssize_t)sizeof(n)) {
        switch ((enum note_kind)n.kind) {
        case NOTE_STEP:
            step_begin(p, n.which);
            break;
        case NOTE_CHANGED:
            changed(p, &n);
            break;
        case NOTE_SETTLE:
            p->settle = true;
            break;
        case NOTE_QUIT:
        case NOTE_READY:
        case NOTE_DONE:
            _exit(0);
        }
    }
    if (got_n == 0 || (got_n < 0 && errno != EAGAIN && errno != EINTR))
        _exit(1); /* the conductor is gone */
}

struct rk_tls *fleet_tls(struct fleet *f, bool relay)
{
    struct rk_err err = { 0 };

    if (f->tls[relay])
        return f->tls[relay];
    if (rk_tls_client_new(f->loop, f->plan->ca_file, relay ? NULL : "\x02h2", &f->tls[relay],
                          &err) < 0)
        fleet_fatal(f, "%s", err.msg);
    trust_seen(rk_tls_ctx(f->tls[relay]));
    return f->tls[relay];
}

void player_run(const struct plan *plan,
                const char *management,
                struct tally *tally,
                uint32_t first,
                uint32_t end,
                int fd)
{
    struct player *p = rk_new(struct player);
    struct fleet *f = &p->fleet;
    struct rk_err err = { 0 };

    p->fd = fd;
    p->group = rk_new_array(struct group, plan->scenario.groups);
    *f = (struct fleet){ .plan = plan, .tally = tally, .first = first, .end = end };
    f->owner = p;
    f->on_online = on_online;
    f->on_map = on_map;
    f->on_stuck = ended_way;
    f->on_left = on_left;
    f->loop = rk_loop_new();
    f->seen = rk_new_array(uint32_t, plan->scenario.agents);
    rk_buf_init(&f->plain, PLAIN_MAX);
    if (rk_targets_get(&f->targets, rk_str(management), &f->management, &err) < 0)
        fleet_fatal(f, "%s", err.msg);
    f->agent = rk_new_array(struct agent, end - first);
    for (uint32_t i = first; i < end; i++)
        agent_init(&f->agent[i - first], f, i);
    srand48((long)(rk_mono_ns() ^ first));
    wheel_init(&f->wheel, f->loop, on_tick);
    p->poll.data = p;
    if (uv_poll_init(rk_loop_uv(f->loop), &p->poll, fd) < 0 ||
        uv_poll_start(&p->poll, UV_READABLE, on_note) < 0)
        fleet_fatal(f, "no poll");
    say(p, NOTE_READY);
    rk_loop_run(f->loop);
    _exit(0);
}
