#include "tests/bench/fleet/relayer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/net/ws_client.h"
#include "services/relay/wire/message.h"

#define ANSWER_S 8              /* to AUTH */
#define SILENT_S 35             /* without a HEALTHCHECK */
#define QUEUED_MAX (256 * 1024) /* of packets that the relay has not taken */
#define FRAME_MAX (RELAY_MAX_MESSAGE + RK_WS_MASKED_HEAD)

enum relay_stage {
    RELAY_STAGE_OFF,
    RELAY_STAGE_DIAL,
    RELAY_STAGE_UPGRADE,
    RELAY_STAGE_AUTH,
    RELAY_STAGE_READY,
};

struct packet {
    uint64_t sum; /* of what follows */
    uint64_t sent_ns;
    uint32_t from, to;
};

uint32_t relayer_partner(const struct plan *p, uint32_t number)
{
    uint32_t group = plan_group_of(p, number), first = plan_group_first(p, group),
             end = plan_group_first(p, group + 1), other = first + ((number - first) ^ 1);

    return other < end ? other : number;
}

static void id_of(const struct plan *p, uint32_t number, uint8_t out[RELAY_ID_LEN])
{
    char key[RK_KEY_B64_LEN + 1];

    rk_key_format(p->keys[number], key);
    memcpy(out, "sha-", 4);
    rk_sha256(key, RK_KEY_B64_LEN, out + 4);
}

static void send_message(struct agent *a, const uint8_t *p, size_t n)
{
    uint8_t frame[FRAME_MAX];

    rk_conn_write(a->relay.conn, frame, rk_ws_masked(p, n, frame));
}

/* -- lost, and again -- */

static void forget(struct relay *r)
{
    r->conn = NULL;
    r->stage = RELAY_STAGE_OFF;
    r->partner = false;
    free(r->part);
    r->part = NULL;
    r->part_n = 0;
}

static void on_closed(struct rk_conn *c, const char *why, void *arg)
{
    struct agent *a = arg;
    struct relay *r = &a->relay;
    bool was_ready = r->stage == RELAY_STAGE_READY;

    (void)why;
    if (c != r->conn)
        return;
    forget(r);
    if (!r->cut)
        a->fleet->tally->count[was_ready ? COUNT_LOST : COUNT_REFUSED]++;
    agent_lost(a);
    alarm_set(&a->fleet->wheel, &r->retry,
              was_ready ? BACKOFF_RELAY_QUICK_MS : backoff_next(&r->backoff, &backoff_relay));
    agent_relay_tried(a);
}

/* -- what arrives -- */

static void on_transport(struct agent *a, const uint8_t *p, size_t n)
{
    const struct plan *plan = a->fleet->plan;
    struct tally *t = a->fleet->tally;
    uint8_t from[RELAY_ID_LEN];
    struct packet packet;

    if (n < RELAY_HEAD_LEN + sizeof(packet))
        goto altered;
    memcpy(&packet, p + RELAY_HEAD_LEN, sizeof(packet));
    if (packet.sum != identity_sum(&plan->id, p + RELAY_HEAD_LEN + sizeof(packet.sum),
                                   n - RELAY_HEAD_LEN - sizeof(packet.sum)) ||
        packet.to != a->number || packet.from != relayer_partner(plan, a->number))
        goto altered;
    id_of(plan, packet.from, from);
    if (memcmp(p + 2, from, sizeof(from)) != 0)
        goto altered;
    t->count[COUNT_PACKETS_ARRIVED]++;
    tally_time(t, METRIC_PACKET, rk_mono_ns() - packet.sent_ns);
    return;
altered:
    tally_fault(t, FAULT_MESSAGE, "agent %u: a relay brought %zu bytes that nobody sent to it",
                a->number, n);
}

static void subscribe(struct agent *a)
{
    uint32_t partner = relayer_partner(a->fleet->plan, a->number);
    uint8_t message[RELAY_HEAD_LEN] = { RELAY_VERSION, RELAY_SUBSCRIBE };

    if (partner == a->number)
        return;
    id_of(a->fleet->plan, partner, message + 2);
    send_message(a, message, sizeof(message));
}

static void on_ready(struct agent *a)
{
    struct relay *r = &a->relay;

    r->stage = RELAY_STAGE_READY;
    r->alive_s = (uint32_t)(rk_mono_ms() / 1000);
    backoff_reset(&r->backoff);
    tally_time(a->fleet->tally, METRIC_RELAY_READY, rk_mono_ns() - r->opened_ns);
    subscribe(a);
    agent_relay_tried(a);
    agent_look(a);
}

static void on_message(struct agent *a, const uint8_t *p, size_t n)
{
    struct relay *r = &a->relay;

    if (n < 2 || p[0] != RELAY_VERSION)
        return; /* as agents do */
    if (r->stage == RELAY_STAGE_AUTH) {
        if (p[1] == RELAY_AUTH_RESPONSE && n > 2)
            on_ready(a);
        else
            rk_conn_close(r->conn, "no AUTH_RESPONSE");
        return;
    }
    switch ((enum relay_type)p[1]) {
    case RELAY_TRANSPORT:
        on_transport(a, p, n);
        break;
    case RELAY_HEALTHCHECK:
        r->alive_s = (uint32_t)(rk_mono_ms() / 1000);
        send_message(a, p, 2);
        break;
    case RELAY_CLOSE:
        rk_conn_close(r->conn, "the relay closes");
        break;
    case RELAY_PEERS_ONLINE:
        r->partner = true; /* nobody else was asked for */
        break;
    case RELAY_PEERS_WENT_OFFLINE:
        r->partner = false;
        subscribe(a);
        break;
    case RELAY_AUTH:
    case RELAY_AUTH_RESPONSE:
    case RELAY_SUBSCRIBE:
    case RELAY_UNSUBSCRIBE:
        break;
    }
}

static void on_frame(struct agent *a, const uint8_t *p, size_t head, size_t whole)
{
    if ((p[0] & 15) == 2)
        on_message(a, p + head, whole - head);
    else if ((p[0] & 15) == 9) { /* PING */
        uint8_t pong[6] = { 0x8a, 0x80 };

        rk_conn_write(a->relay.conn, pong, sizeof(pong));
    }
}

static void send_auth(struct agent *a)
{
    uint8_t message[RELAY_MAX_AUTH];
    struct relay_id id;

    id_of(a->fleet->plan, a->number, id.b);
    a->relay.stage = RELAY_STAGE_AUTH;
    send_message(a, message,
                 relay_auth_write(&id, rk_strn(a->relay_token, a->relay_token_n), message));
}

/* How many bytes of p were used; the rest is kept until there is more. */
static size_t eat(struct agent *a, const uint8_t *p, size_t n)
{
    struct relay *r = &a->relay;
    struct rk_conn *conn = r->conn;
    const uint8_t *end;
    size_t used = 0, head = 0, whole;

    if (r->stage == RELAY_STAGE_UPGRADE) {
        end = memmem(p, n, "\r\n\r\n", 4);
        if (!end)
            return 0;
        used = (size_t)(end + 4 - p);
        if (!rk_ws_accepted(rk_strn(p, used))) {
            rk_conn_close(r->conn, "no WebSocket");
            return n;
        }
        send_auth(a);
    }
    while ((whole = rk_ws_server_frame(p + used, n - used, RELAY_MAX_MESSAGE, &head)) != 0 &&
           whole != SIZE_MAX) {
        on_frame(a, p + used, head, whole);
        used += whole;
        if (r->conn != conn || r->stage == RELAY_STAGE_OFF)
            return n; /* stopped inside */
    }
    if (whole == SIZE_MAX) {
        rk_conn_close(r->conn, "a frame that no relay sends");
        return n;
    }
    return used;
}

static void keep(struct relay *r, const uint8_t *p, size_t n)
{
    if (!r->part)
        r->part = rk_alloc(FRAME_MAX);
    memcpy(r->part, p, n);
    r->part_n = (uint16_t)n;
}

static void on_read(struct rk_conn *c, const uint8_t *p, size_t n, void *arg)
{
    struct agent *a = arg;
    struct relay *r = &a->relay;

    if (c != r->conn)
        return;
    while (r->part_n > 0 && n > 0) {
        size_t take = FRAME_MAX - (size_t)r->part_n < n ? FRAME_MAX - (size_t)r->part_n : n, used,
               had = r->part_n;

        memcpy(r->part + r->part_n, p, take);
        r->part_n = (uint16_t)(r->part_n + take);
        used = eat(a, r->part, r->part_n);
        if (c != r->conn)
            return;
        p += take;
        n -= take;
        if (used == 0 && had + take == FRAME_MAX) {
            rk_conn_close(c, "an answer without end");
            return;
        }
        memmove(r->part, r->part + used, r->part_n - used);
        r->part_n = (uint16_t)(r->part_n - used);
    }
    if (n > 0) {
        size_t used = eat(a, p, n);

        if (c != r->conn)
            return;
        if (n - used > FRAME_MAX)
            rk_conn_close(c, "an answer without end");
        else if (used < n)
            keep(r, p + used, n - used);
    }
    if (r->part_n == 0 && r->part) {
        free(r->part);
        r->part = NULL;
    }
}

static void on_open(struct rk_conn *c, void *arg)
{
    struct agent *a = arg;
    char request[RK_WS_REQUEST_MAX];

    if (c != a->relay.conn)
        return;
    a->relay.stage = RELAY_STAGE_UPGRADE;
    rk_conn_write(c, request, rk_ws_request("/relay", a->relay.target->authority, request));
}

static const struct rk_conn_ops ops = { .on_open = on_open,
                                        .on_read = on_read,
                                        .on_closed = on_closed };

static void on_retry(struct alarm *alarm)
{
    relayer_start(rk_container_of(alarm, struct agent, relay.retry));
}

void relayer_init(struct agent *a)
{
    alarm_init(&a->relay.retry, on_retry);
}

void relayer_start(struct agent *a)
{
    struct fleet *f = a->fleet;
    struct relay *r = &a->relay;
    struct rk_err err = { 0 };
    uint32_t partner = relayer_partner(f->plan, a->number);

    /* Both of a pair take the same one of several, and all are taken evenly. */
    r->target = f->relay[(a->number < partner ? a->number : partner) / 2 % f->relays];
    r->stage = RELAY_STAGE_DIAL;
    r->cut = false;
    r->opened_ns = rk_mono_ns();
    r->alive_s = (uint32_t)(rk_mono_ms() / 1000);
    if (rk_conn_connect(f->loop, &r->target->addr, r->target->tls ? fleet_tls(f, true) : NULL,
                        r->target->host, &ops, a, &r->conn, &err) < 0)
        fleet_fatal(f, "%s: %s", r->target->authority, err.msg);
}

void relayer_stop(struct agent *a)
{
    struct rk_conn *c = a->relay.conn;

    alarm_stop(&a->relay.retry);
    backoff_reset(&a->relay.backoff);
    forget(&a->relay);
    if (c)
        rk_conn_close(c, "stopped");
}

void relayer_cut(struct agent *a)
{
    a->relay.cut = true;
    if (a->relay.conn)
        rk_conn_close(a->relay.conn, "cut");
}

bool relayer_is_ready(const struct agent *a)
{
    return a->relay.stage == RELAY_STAGE_READY;
}

void relayer_sweep(struct agent *a, uint32_t now_s)
{
    struct relay *r = &a->relay;

    if (r->stage == RELAY_STAGE_OFF ||
        now_s - r->alive_s < (r->stage == RELAY_STAGE_READY ? SILENT_S : ANSWER_S))
        return;
    a->fleet->tally->count[COUNT_SILENT]++;
    rk_conn_close(r->conn, "silent");
}

bool relayer_packet(struct agent *a)
{
    const struct plan *plan = a->fleet->plan;
    size_t n = plan->scenario.packet_bytes;
    uint8_t message[RELAY_MAX_MESSAGE] = { RELAY_VERSION, RELAY_TRANSPORT };
    struct packet packet = { .from = a->number, .to = relayer_partner(plan, a->number) };

    if (!relayer_is_ready(a) || !a->relay.partner || packet.to == packet.from ||
        rk_conn_queued(a->relay.conn) > QUEUED_MAX)
        return false;
    packet.sent_ns = rk_mono_ns();
    id_of(plan, packet.to, message + 2);
    memcpy(message + RELAY_HEAD_LEN, &packet, sizeof(packet));
    packet.sum = identity_sum(&plan->id, message + RELAY_HEAD_LEN + sizeof(packet.sum),
                              n - sizeof(packet.sum));
    memcpy(message + RELAY_HEAD_LEN, &packet.sum, sizeof(packet.sum));
    send_message(a, message, RELAY_HEAD_LEN + n);
    a->fleet->tally->count[COUNT_PACKETS]++;
    return true;
}
