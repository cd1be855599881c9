#include "tests/bench/fleet/signaller.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/cursor.h"
#include "libcommon/grpc/status.h"

#define SERVICE "/signalexchange.SignalExchange/"
#define DIAL_TRIES_MS 10000
#define SEND_TRIES 4
#define SILENT_S 30 /* then it probes */
#define PROBE_S 10  /* and gives up, unless something has come */
#define OFFER_BYTES 260
#define PROBE_BYTES 42
#define HEAD (2 * (2 + RK_KEY_B64_LEN)) /* the two keys, fields 2 and 3 */
#define MESSAGE_MAX (HEAD + 3 + OFFER_BYTES)

enum body_kind {
    BODY_OFFER = 1,
    BODY_ANSWER,
    BODY_PROBE,
};

struct body {
    uint64_t sum; /* of what follows, filling included */
    uint64_t sent_ns, offer_ns;
    uint32_t kind, from, to, zero;
};

/* One message on its way: the call is repeated by the agent when it fails. */
struct sending {
    struct agent *agent;
    unsigned tries;
    size_t n;
    uint8_t message[MESSAGE_MAX];
};

static void send_once(struct sending *m);

static void ignore(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    (void)call;
    (void)message;
    (void)arg;
}

static void send_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    struct sending *m = arg;

    (void)call;
    (void)message;
    if (status == 0 || status == RK_GRPC_CANCELLED || m->tries == SEND_TRIES ||
        !m->agent->signal.grpc /* it was stopped */) {
        free(m);
        return;
    }
    agent_failed_call(m->agent, status);
    send_once(m);
}

static const struct rk_grpc_client_ops send_ops = { .on_message = ignore, .on_done = send_done };

static void send_once(struct sending *m)
{
    static const uint64_t limits_ms[SEND_TRIES] = { 10000, 10000, 10000, 15000 };
    struct rk_grpc_client *grpc = m->agent->signal.grpc;
    struct rk_grpc_client_call *call;

    if (!grpc) {
        free(m);
        return;
    }
    call = rk_grpc_call(grpc, SERVICE "Send", NULL, NULL, limits_ms[m->tries++], &send_ops, m);
    rk_grpc_call_send(call, rk_strn(m->message, m->n), true);
}

static uint8_t *put_bytes(uint8_t *p, unsigned field, const void *bytes, size_t n)
{
    *p++ = (uint8_t)(field << 3 | 2);
    if (n > 127)
        *p++ = (uint8_t)(n | 128);
    *p++ = (uint8_t)(n > 127 ? n >> 7 : n);
    memcpy(p, bytes, n);
    return p + n;
}

static void
send_body(struct agent *a, uint32_t to, enum body_kind kind, uint64_t offer_ns, size_t n)
{
    const struct plan *plan = a->fleet->plan;
    struct sending *m = rk_new(struct sending);
    char key[RK_KEY_B64_LEN + 1];
    uint8_t body[OFFER_BYTES], *p = m->message;
    struct body head = { .sent_ns = rk_mono_ns(), .kind = kind, .from = a->number, .to = to };

    head.offer_ns = kind == BODY_OFFER ? head.sent_ns : offer_ns;
    memset(body, 0xa5, sizeof(body));
    memcpy(body, &head, sizeof(head));
    head.sum = identity_sum(&plan->id, body + sizeof(head.sum), n - sizeof(head.sum));
    memcpy(body, &head.sum, sizeof(head.sum));
    rk_key_format(plan->keys[a->number], key);
    p = put_bytes(p, 2, key, RK_KEY_B64_LEN);
    rk_key_format(plan->keys[to], key);
    p = put_bytes(p, 3, key, RK_KEY_B64_LEN);
    p = put_bytes(p, 4, body, n);
    m->n = (size_t)(p - m->message);
    m->agent = a;
    send_once(m);
}

void signaller_offer(struct agent *a, uint32_t to)
{
    a->fleet->tally->count[COUNT_OFFERS]++;
    send_body(a, to, BODY_OFFER, 0, OFFER_BYTES);
}

/* -- what arrives -- */

/* False: not what an agent of this run has sent to this one. */
static bool read_message(const struct agent *a, struct rk_str message, struct body *out)
{
    const struct plan *plan = a->fleet->plan;
    struct rk_cursor c = rk_cursor(message.p, message.n);
    struct rk_str part[5] = { { NULL, 0 } };
    char key[RK_KEY_B64_LEN + 1];

    while (c.n > 0 && !c.bad) {
        uint64_t tag = rk_cursor_varint(&c);
        struct rk_str s = rk_cursor_take(&c, (size_t)rk_cursor_varint(&c));

        if ((tag & 7) != 2 || tag >> 3 > 4)
            return false;
        part[tag >> 3] = s;
    }
    if (c.bad || part[4].n < sizeof(*out))
        return false;
    memcpy(out, part[4].p, sizeof(*out));
    if (out->sum !=
            identity_sum(&plan->id, part[4].p + sizeof(out->sum), part[4].n - sizeof(out->sum)) ||
        out->to != a->number || out->from >= plan->scenario.agents)
        return false;
    rk_key_format(plan->keys[out->from], key);
    if (!rk_str_eq(part[2], rk_str(key)))
        return false;
    rk_key_format(plan->keys[a->number], key);
    return rk_str_eq(part[3], rk_str(key));
}

static void on_arrived(struct rk_grpc_client_call *call, struct rk_str message, void *arg)
{
    struct stream *s = arg;
    struct agent *a = agent_of_stream(s);
    struct tally *t = a->fleet->tally;
    uint64_t now = rk_mono_ns();
    struct body body;

    if (s->call != call)
        return;
    a->heard_s = (uint32_t)(now / 1000000000);
    a->probed_s = 0;
    if (!read_message(a, message, &body)) {
        tally_fault(t, FAULT_MESSAGE, "agent %u: signal brought %zu bytes that nobody sent to it",
                    a->number, message.n);
        return;
    }
    if (body.kind == BODY_OFFER) {
        t->count[COUNT_OFFERS_ARRIVED]++;
        tally_time(t, METRIC_OFFER, now - body.sent_ns);
        send_body(a, body.from, BODY_ANSWER, body.offer_ns, OFFER_BYTES);
    } else if (body.kind == BODY_ANSWER) {
        t->count[COUNT_ANSWERS_ARRIVED]++;
        tally_time(t, METRIC_ANSWER, now - body.offer_ns);
    }
}

/* -- the stream -- */

static void open_stream(struct agent *a);

static void on_headers(struct rk_grpc_client_call *call, void *arg)
{
    struct stream *s = arg;
    struct agent *a = agent_of_stream(s);

    if (s->call != call || rk_grpc_call_header(call, "x-wiretrustee-peer-registered").n == 0)
        return; /* its end comes, and is a failure like any other */
    s->ready = true;
    backoff_reset(&s->backoff);
    a->heard_s = (uint32_t)(rk_mono_ms() / 1000);
    a->probed_s = 0;
    tally_time(a->fleet->tally, METRIC_SIGNAL_READY, rk_mono_ns() - s->opened_ns);
    agent_signal_ready(a);
}

static void
stream_done(struct rk_grpc_client_call *call, int status, const char *message, void *arg)
{
    struct stream *s = arg;
    struct agent *a = agent_of_stream(s);

    (void)message;
    if (s->call != call)
        return;
    s->call = NULL;
    s->ready = false;
    if (status != 0)
        agent_failed_call(a, status);
    if (a->phase == PHASE_SIGNAL && rk_mono_ms() - a->dial_ms >= DIAL_TRIES_MS) {
        agent_again(a);
        return;
    }
    if (link_is_up(&a->signal))
        a->fleet->tally->count[COUNT_STREAM_END]++;
    agent_lost(a);
    stream_again(s, a->phase == PHASE_SIGNAL ? &backoff_dial : &backoff_stream);
}

static const struct rk_grpc_client_ops stream_ops = { on_headers, on_arrived, stream_done };

static void open_stream(struct agent *a)
{
    struct stream *s = &a->stream[STREAM_SIGNAL];
    char key[RK_KEY_B64_LEN + 1];
    struct rk_grpc_client *grpc;
    uint64_t wait_ms = 0;

    grpc = link_get(&a->signal, a->fleet->signal, &wait_ms);
    if (!grpc) {
        alarm_set(&a->fleet->wheel, &s->retry, wait_ms);
        return;
    }
    rk_key_format(a->fleet->plan->keys[a->number], key);
    s->opened_ns = rk_mono_ns();
    s->call = rk_grpc_call(grpc, SERVICE "ConnectStream", "x-wiretrustee-peer-id", key, 0,
                           &stream_ops, s);
}

static void on_retry(struct alarm *alarm)
{
    open_stream(agent_of_stream(rk_container_of(alarm, struct stream, retry)));
}

void signaller_init(struct agent *a)
{
    alarm_init(&a->stream[STREAM_SIGNAL].retry, on_retry);
}

void signaller_start(struct agent *a)
{
    if (!a->fleet->signal)
        fleet_fatal(a->fleet, "Login names no signal server");
    a->dial_ms = rk_mono_ms();
    open_stream(a);
}

void signaller_sweep(struct agent *a, uint32_t now_s)
{
    struct stream *s = &a->stream[STREAM_SIGNAL];

    if (!s->ready || !s->call)
        return;
    if (a->probed_s == 0 && now_s - a->heard_s >= SILENT_S) {
        a->probed_s = now_s;
        a->fleet->tally->count[COUNT_HEARTBEATS]++;
        send_body(a, a->number, BODY_PROBE, 0, PROBE_BYTES);
    } else if (a->probed_s != 0 && now_s - a->probed_s >= PROBE_S) {
        a->probed_s = 0;
        a->fleet->tally->count[COUNT_SILENT]++;
        agent_lost(a);
        stream_stop(s);
        stream_again(s, &backoff_stream);
    }
}
