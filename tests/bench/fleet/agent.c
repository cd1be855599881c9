#include "tests/bench/fleet/agent.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/grpc/status.h"
#include "tests/bench/fleet/manage.h"
#include "tests/bench/fleet/relayer.h"
#include "tests/bench/fleet/signaller.h"

#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_LIMIT_S 10

struct agent *agent_of_stream(struct stream *s)
{
    return rk_container_of(s - s->kind, struct agent, stream[0]);
}

struct agent *agent_of_link(struct link *l)
{
    return l->signal ? rk_container_of(l, struct agent, signal)
                     : rk_container_of(l, struct agent, management);
}

/* -- connections -- */

static bool was_up(const struct link *l)
{
    return l->grpc && rk_grpc_client_frames_in(l->grpc) > 0;
}

bool link_is_up(const struct link *l)
{
    return was_up(l) && rk_grpc_client_is_open(l->grpc);
}

/* Breaks it, as if the network had. */
static void link_cut(struct link *l)
{
    l->cut = true;
    if (l->grpc)
        rk_grpc_client_close(l->grpc);
}

static void on_link_closed(struct rk_grpc_client *grpc, const char *why, void *arg)
{
    struct link *l = arg;
    struct agent *a = agent_of_link(l);

    (void)why;
    if (grpc != l->grpc)
        return; /* one that we closed */
    if (was_up(l)) {
        a->fleet->tally->count[COUNT_LOST] += !l->cut;
        backoff_reset(&l->channel);
        l->not_before_ms = 0;
    } else {
        a->fleet->tally->count[COUNT_REFUSED]++;
        l->not_before_ms = rk_mono_ms() + backoff_next(&l->channel, &backoff_channel);
    }
    l->grpc = NULL;
}

struct rk_grpc_client *link_get(struct link *l, struct rk_target *t, uint64_t *out_wait_ms)
{
    struct agent *a = agent_of_link(l);
    struct rk_err err = { 0 };
    uint64_t now = rk_mono_ms();

    if (l->grpc)
        return l->grpc;
    if (now < l->not_before_ms) {
        *out_wait_ms = l->not_before_ms - now;
        return NULL;
    }
    if (rk_grpc_client_new(a->fleet->loop, &t->addr, t->tls ? fleet_tls(a->fleet, false) : NULL,
                           t->authority, on_link_closed, l, &l->grpc, &err) < 0) {
        /* No descriptor or no port: no fault of the servers. */
        fleet_fatal(a->fleet, "%s: %s", t->authority, err.msg);
    }
    l->frames = 0;
    l->cut = false;
    l->moved_s = (uint32_t)(now / 1000);
    l->pinged = false;
    return l->grpc;
}

void link_close(struct link *l)
{
    struct rk_grpc_client *grpc = l->grpc;

    l->grpc = NULL;
    l->not_before_ms = 0;
    backoff_reset(&l->channel);
    if (grpc)
        rk_grpc_client_close(grpc);
}

void link_sweep(struct link *l, uint32_t now_s, bool streams)
{
    struct agent *a = agent_of_link(l);
    uint32_t frames;

    if (!link_is_up(l))
        return;
    frames = (uint32_t)rk_grpc_client_frames_in(l->grpc);
    if (frames != l->frames || !streams) {
        l->frames = frames;
        l->moved_s = now_s;
        l->pinged = false;
    } else if (!l->pinged && now_s - l->moved_s >= KEEPALIVE_IDLE_S) {
        l->pinged = true;
        l->moved_s = now_s;
        rk_grpc_client_ping(l->grpc);
    } else if (l->pinged && now_s - l->moved_s >= KEEPALIVE_LIMIT_S) {
        a->fleet->tally->count[COUNT_SILENT]++;
        link_cut(l);
    }
}

/* -- streams -- */

void stream_stop(struct stream *s)
{
    struct rk_grpc_client_call *call = s->call;

    alarm_stop(&s->retry);
    backoff_reset(&s->backoff);
    s->ready = false;
    s->call = NULL;
    if (call)
        rk_grpc_call_cancel(call);
}

void stream_again(struct stream *s, const struct backoff_rule *rule)
{
    struct agent *a = agent_of_stream(s);

    s->ready = false;
    alarm_set(&a->fleet->wheel, &s->retry, backoff_next(&s->backoff, rule));
}

/* -- what it is all together -- */

void agent_lost(struct agent *a)
{
    if (!a->online)
        return;
    a->online = false;
    a->started = false;
    a->since_ns = rk_mono_ns();
}

void agent_look(struct agent *a)
{
    unsigned planes = a->fleet->plan->scenario.planes;
    uint64_t now;

    if (a->online || a->phase != PHASE_ENGINE || !a->stream[STREAM_SYNC].ready ||
        (planes & PLANE_SIGNAL && !a->stream[STREAM_SIGNAL].ready) ||
        (planes & PLANE_RELAY && !relayer_is_ready(a)))
        return;
    now = rk_mono_ns();
    a->online = true;
    if (a->first_ns == 0)
        a->first_ns = now;
    tally_time(a->fleet->tally, a->started ? METRIC_ONLINE : METRIC_BACK, now - a->since_ns);
    a->fleet->on_online(a);
}

void agent_failed_call(struct agent *a, int status)
{
    a->fleet->tally->status[status < TALLY_STATUSES ? status : RK_GRPC_UNKNOWN]++;
    a->fleet->tally->count[COUNT_RETRIES]++;
}

static void close_all(struct agent *a)
{
    for (unsigned i = 0; i < STREAMS; i++)
        stream_stop(&a->stream[i]);
    link_close(&a->management);
    link_close(&a->signal);
    relayer_stop(a);
}

void agent_stuck(struct agent *a, const char *what, int status, const char *message)
{
    tally_fault(a->fleet->tally, FAULT_SHOWN, "agent %u: %s: %s %s", a->number, what,
                tally_status_name(status), message);
    agent_lost(a);
    close_all(a);
    a->phase = PHASE_STUCK;
    a->fleet->on_stuck(a);
}

void agent_again(struct agent *a)
{
    agent_lost(a);
    close_all(a);
    a->phase = PHASE_WAIT;
    manage_again(a);
}

void agent_start(struct agent *a)
{
    a->started = true;
    a->first_ns = 0;
    a->since_ns = rk_mono_ns();
    a->fleet->tally->count[COUNT_STARTS]++;
    a->serial = 0; /* a new process has none */
    a->has_change = false;
    a->checking = false;
    manage_start(a);
}

void agent_stop(struct agent *a)
{
    a->online = false;
    a->first_ns = 0;
    close_all(a);
    a->phase = PHASE_OFF;
}

void agent_cut(struct agent *a)
{
    agent_lost(a);
    link_cut(&a->management);
    link_cut(&a->signal);
    relayer_cut(a);
}

void agent_relay_tried(struct agent *a)
{
    if (a->phase != PHASE_RELAY)
        return; /* a later try */
    a->phase = PHASE_SIGNAL;
    if (a->fleet->plan->scenario.planes & PLANE_SIGNAL)
        signaller_start(a);
    else
        agent_signal_ready(a);
}

void agent_signal_ready(struct agent *a)
{
    if (a->phase == PHASE_SIGNAL) {
        a->phase = PHASE_ENGINE;
        manage_engine(a);
    }
    agent_look(a);
}

void agent_sweep(struct agent *a, uint32_t now_s)
{
    if (a->phase == PHASE_OFF)
        return;
    link_sweep(&a->management, now_s, a->stream[STREAM_SYNC].call || a->stream[STREAM_JOB].call);
    link_sweep(&a->signal, now_s, a->stream[STREAM_SIGNAL].call != NULL);
    signaller_sweep(a, now_s);
    relayer_sweep(a, now_s);
}

void agent_init(struct agent *a, struct fleet *f, uint32_t number)
{
    a->fleet = f;
    a->number = number;
    a->group = plan_group_of(f->plan, number);
    a->signal.signal = true;
    for (unsigned i = 0; i < STREAMS; i++)
        a->stream[i].kind = (uint8_t)i;
    manage_init(a);
    signaller_init(a);
    relayer_init(a);
}

void agent_done(struct agent *a)
{
    free(a->relay_token);
    a->relay_token = NULL;
}
