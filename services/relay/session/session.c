#include "services/relay/session/session.h"

#include <string.h>

#include "libcommon/base/clock.h"
#include "libcommon/crypto/token.h"
#include "services/relay/core/core.h"
#include "services/relay/metrics.h"
#include "services/relay/peers/directory.h"

void session_init(struct session *s, struct core *core, const struct transport_ops *ops)
{
    s->core = core;
    s->ops = ops;
    s->state = SESSION_NEW;
    s->handle = core_slot_take(core, s);
    s->accepted_ns = rk_mono_ns();
    s->last_transport_ms = core->now_ms;
    rk_list_init(&s->subscriptions);
}

static int authenticate(struct session *s, const struct incoming *m, struct rk_err *err)
{
    const struct core_config *cfg = core_config(s->core);
    uint8_t clear[RELAY_MAX_AUTH],
        answer[RELAY_MAX_AUTH_RESPONSE] = { RELAY_VERSION, RELAY_AUTH_RESPONSE };
    struct rk_str token;
    int r;

    if (m->n > RELAY_MAX_AUTH) {
        count_add(&s->core->counts, COUNT_AUTH_FAILED, 1);
        return rk_fail(err, RK_INVALID, "first message has %zu bytes, more than %d", m->n,
                       RELAY_MAX_AUTH);
    }
    incoming_copy(m, 0, m->n, clear);
    r = relay_auth_parse(clear, m->n, &s->id, &token, err);
    if (r == 0)
        r = rk_relay_token_check(&cfg->key, token, rk_wall_s(), err);
    if (r < 0) {
        count_add(&s->core->counts, COUNT_AUTH_FAILED, 1);
        return r;
    }
    s->authenticated_ns = rk_mono_ns();
    relay_metrics_authenticated((double)(s->authenticated_ns - s->accepted_ns) / 1e6);
    s->state = SESSION_PUBLISHING;
    s->next_send_ms = s->core->now_ms + HEALTH_SEND_MS;
    s->next_check_ms = s->core->now_ms + HEALTH_CHECK_MS;
    count_add(&s->core->counts, COUNT_PEERS, 1);

    memcpy(answer + 2, cfg->instance_url, cfg->instance_url_n);
    s->ops->control(s, answer, 2 + cfg->instance_url_n);
    directory_publish(s->core->directory, &s->id, s->handle);
    return 0;
}

void session_published(struct session *s)
{
    if (s->state != SESSION_PUBLISHING)
        return;
    s->state = SESSION_ONLINE;
    relay_metrics_stored((double)(rk_mono_ns() - s->authenticated_ns) / 1e6);
    s->ops->release(s);
}

static void transport(struct session *s, const struct incoming *m)
{
    struct relay_id to;

    if (m->n < RELAY_HEAD_LEN)
        return;
    s->last_transport_ms = s->core->now_ms;
    count_add(&s->core->counts, COUNT_RECEIVED_BYTES, (int64_t)m->n);
    count_add(&s->core->counts, COUNT_RECEIVED_MESSAGES, 1);
    memcpy(to.b, m->head + 2, sizeof(to.b));
    core_forward(s->core, &to, &s->id, m);
}

/* Registers every ID first, then looks which are there: an arrival in between is told twice, never
 * not at all. */
static int subscribe(struct session *s, const uint8_t *ids, size_t count, struct rk_err *err)
{
    uint8_t answer[2 + RELAY_MAX_IDS * RELAY_ID_LEN] = { RELAY_VERSION, RELAY_PEERS_ONLINE };
    struct directory *d = s->core->directory;
    struct relay_id id;
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        memcpy(id.b, ids + i * RELAY_ID_LEN, RELAY_ID_LEN);
        if (!directory_subscribe(d, s, &id))
            return rk_fail(err, RK_EXHAUSTED, "too many subscriptions");
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(id.b, ids + i * RELAY_ID_LEN, RELAY_ID_LEN);
        if (directory_find(d, &id))
            memcpy(answer + 2 + n++ * RELAY_ID_LEN, id.b, RELAY_ID_LEN);
    }
    if (n > 0)
        s->ops->control(s, answer, 2 + n * RELAY_ID_LEN);
    return 0;
}

static int interest(struct session *s, const struct incoming *m, struct rk_err *err)
{
    uint8_t ids[RELAY_MAX_MESSAGE];
    size_t n = m->n - 2, count = n / RELAY_ID_LEN;
    struct relay_id id;

    if (n % RELAY_ID_LEN != 0)
        return 0;
    incoming_copy(m, 2, n, ids);
    if (m->head[1] == RELAY_SUBSCRIBE)
        return subscribe(s, ids, count, err);
    for (size_t i = 0; i < count; i++) {
        memcpy(id.b, ids + i * RELAY_ID_LEN, RELAY_ID_LEN);
        directory_unsubscribe(s->core->directory, s, &id);
    }
    return 0;
}

int session_message(struct session *s, const struct incoming *m, struct rk_err *err)
{
    if (m->n < 2 || m->head[0] != RELAY_VERSION) {
        if (s->state == SESSION_NEW)
            count_add(&s->core->counts, COUNT_AUTH_FAILED, 1);
        return rk_fail(err, RK_INVALID, "message of unknown version");
    }
    if (s->state == SESSION_NEW)
        return authenticate(s, m, err);
    switch (m->head[1]) {
    case RELAY_TRANSPORT:
        transport(s, m);
        return 0;
    case RELAY_HEALTHCHECK:
        s->alive = true;
        return 0;
    case RELAY_SUBSCRIBE:
    case RELAY_UNSUBSCRIBE:
        return interest(s, m, err);
    case RELAY_AUTH:
        return 0;
    case RELAY_CLOSE:
        return rk_fail(err, RK_UNAVAILABLE, "peer said CLOSE");
    default:
        return rk_fail(err, RK_INVALID, "message of unexpected type %u", m->head[1]);
    }
}

bool session_tick(struct session *s, uint64_t now_ms)
{
    static const uint8_t health[2] = { RELAY_VERSION, RELAY_HEALTHCHECK };

    if (s->state != SESSION_PUBLISHING && s->state != SESSION_ONLINE)
        return true;
    if (now_ms >= s->next_check_ms) {
        if (!s->alive) {
            count_add(&s->core->counts, COUNT_CLOSED_HEALTH, 1);
            s->ops->close(s, false, "no answer to health checks");
            return false;
        }
        s->alive = false;
        s->next_check_ms = now_ms + HEALTH_CHECK_MS;
    }
    if (now_ms >= s->next_send_ms) {
        s->next_send_ms = now_ms + HEALTH_SEND_MS;
        s->ops->control(s, health, sizeof(health));
    }
    return s->state != SESSION_GONE;
}

void session_gone(struct session *s)
{
    bool published = s->state == SESSION_PUBLISHING || s->state == SESSION_ONLINE;

    if (s->state == SESSION_GONE)
        return;
    s->state = SESSION_GONE;
    directory_unsubscribe_all(s->core->directory, s);
    core_slot_give(s->core, s->handle);
    if (!published)
        return;
    count_add(&s->core->counts, COUNT_PEERS, -1);
    if (!s->replaced)
        directory_leave(s->core->directory, &s->id, s->handle);
}
