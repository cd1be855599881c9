/*
 * HTTP/2 in WebSocket messages. A frame's payload is unmasked piece by piece and passed on at once,
 * so that no length an agent names makes us hold anything.
 */

#include "libcommon/grpc/tunnel.h"

#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/net/ws_frame.h"

#define PIECE 16384

enum phase {
    PHASE_REQUEST,
    PHASE_OPEN,
    PHASE_CLOSED,
};

struct rk_tunnel {
    const struct rk_tunnel_ops *ops;
    void *arg;
    struct rk_str path;
    struct rk_buf request; /* as far as it has come */
    struct rk_buf out;     /* gathered */
    enum phase phase;
    /* the frame being read */
    uint8_t head[RK_WS_MAX_HEAD];
    size_t head_n;
    enum rk_ws_kind kind; /* RK_WS_MORE: no header yet; of a continuation: what it continues */
    struct rk_ws_head frame;
    size_t done;            /* bytes of its payload */
    enum rk_ws_kind parted; /* of the message whose next fragment must come; RK_WS_MORE: none */
    uint8_t control[RK_WS_MAX_CONTROL];
};

static const struct rk_ws_rules rules = { .max_bytes = RK_TUNNEL_MAX_FRAME };

struct rk_tunnel *rk_tunnel_new(struct rk_str path, const struct rk_tunnel_ops *ops, void *arg)
{
    struct rk_tunnel *t = rk_new(struct rk_tunnel);

    t->ops = ops;
    t->arg = arg;
    t->path = path;
    t->kind = t->parted = RK_WS_MORE;
    rk_buf_init(&t->request, RK_WS_UPGRADE_MAX_BYTES);
    rk_buf_init(&t->out, SIZE_MAX);
    return t;
}

void rk_tunnel_free(struct rk_tunnel *t)
{
    if (!t)
        return;
    rk_buf_done(&t->request);
    rk_buf_done(&t->out);
    free(t);
}

/* --- output --- */

bool rk_tunnel_is_open(const struct rk_tunnel *t)
{
    return t->phase == PHASE_OPEN;
}

void rk_tunnel_write(struct rk_tunnel *t, const void *p, size_t n)
{
    if (t->phase == PHASE_OPEN)
        rk_buf_put(&t->out, p, n);
}

size_t rk_tunnel_gathered(const struct rk_tunnel *t)
{
    return t->out.n;
}

static void send_message(struct rk_tunnel *t, enum rk_ws_opcode op, const uint8_t *p, size_t n)
{
    uint8_t head[RK_WS_MAX_SERVER_HEADER];

    t->ops->write(t->arg, head, rk_ws_header(op, n, head));
    if (n > 0)
        t->ops->write(t->arg, p, n);
}

size_t rk_tunnel_flush(struct rk_tunnel *t)
{
    size_t sent = t->out.n;

    if (sent == 0)
        return 0;
    for (size_t at = 0; at < sent;) {
        size_t n = sent - at < RK_TUNNEL_MAX_MESSAGE ? sent - at : RK_TUNNEL_MAX_MESSAGE;

        send_message(t, RK_WS_OP_BINARY, t->out.p + at, n);
        at += n;
    }
    rk_buf_done(&t->out); /* most agents are silent: nothing is kept for them */
    rk_buf_init(&t->out, SIZE_MAX);
    return sent;
}

static void say_close(struct rk_tunnel *t, const uint8_t *reason, size_t n)
{
    rk_tunnel_flush(t);
    send_message(t, RK_WS_OP_CLOSE, reason, n);
    t->phase = PHASE_CLOSED;
}

void rk_tunnel_close(struct rk_tunnel *t, enum rk_tunnel_end code)
{
    const uint8_t reason[2] = { (uint8_t)((unsigned)code >> 8), (uint8_t)code };

    if (t->phase == PHASE_OPEN)
        say_close(t, reason, sizeof(reason));
}

/* --- frames --- */

static int broke_a_rule(struct rk_tunnel *t, const char *why, struct rk_err *err)
{
    rk_tunnel_close(t, RK_TUNNEL_PROTOCOL);
    return rk_fail(err, RK_INVALID, "websocket: %s", why);
}

/* The header is there: what its payload is for. */
static int frame_begins(struct rk_tunnel *t, struct rk_err *err)
{
    t->head_n = 0;
    t->done = 0;
    switch (t->kind) {
    case RK_WS_BINARY:
    case RK_WS_TEXT:
        if (t->parted != RK_WS_MORE)
            return broke_a_rule(t, "a message within a message", err);
        t->parted = t->frame.fin ? RK_WS_MORE : t->kind;
        break;
    case RK_WS_CONTINUATION:
        if (t->parted == RK_WS_MORE)
            return broke_a_rule(t, "nothing to be continued", err);
        t->kind = t->parted;
        if (t->frame.fin)
            t->parted = RK_WS_MORE;
        break;
    case RK_WS_PING:
    case RK_WS_PONG:
    case RK_WS_CLOSE:
    case RK_WS_MORE:
    case RK_WS_BAD:
        break;
    }
    return 0;
}

static int frame_ends(struct rk_tunnel *t, struct rk_err *err)
{
    enum rk_ws_kind kind = t->kind;

    t->kind = RK_WS_MORE;
    if (kind == RK_WS_CLOSE) {
        say_close(t, t->control, t->done >= 2 ? 2 : 0);
        return rk_fail(err, RK_UNAVAILABLE, "websocket: closed by the agent");
    }
    /* Only the latest ping needs an answer: who sends many and reads nothing gets none. */
    if (kind == RK_WS_PING && t->ops->queued(t->arg) <= RK_TUNNEL_PONG_LIMIT)
        send_message(t, RK_WS_OP_PONG, t->control, t->done);
    return 0;
}

/* False: the rest is not wanted. */
static bool pass_on(struct rk_tunnel *t, const uint8_t *p, size_t n)
{
    uint8_t clear[PIECE];

    while (n > 0) {
        size_t now = n < sizeof(clear) ? n : sizeof(clear);

        rk_ws_mask(clear, p, now, t->frame.mask, t->done);
        t->done += now;
        p += now;
        n -= now;
        if (!t->ops->on_bytes(t->arg, clear, now))
            return false;
    }
    return true;
}

/* Bytes of the header used; negative on a bad one. */
static int read_head(struct rk_tunnel *t, const uint8_t *p, size_t n, struct rk_err *err)
{
    size_t before = t->head_n, now = sizeof(t->head) - before;
    int r;

    if (now > n)
        now = n;
    memcpy(t->head + before, p, now);
    t->kind = rk_ws_head_parse(t->head, before + now, &rules, &t->frame, err);
    if (t->kind == RK_WS_MORE) {
        t->head_n += now;
        return (int)now;
    }
    if (t->kind == RK_WS_BAD) {
        r = err->code;
        rk_tunnel_close(t, r == RK_EXHAUSTED ? RK_TUNNEL_TOO_BIG : RK_TUNNEL_PROTOCOL);
        return r;
    }
    r = frame_begins(t, err);
    return r < 0 ? r : (int)(t->frame.used - before);
}

static int read_frames(struct rk_tunnel *t, const uint8_t *p, size_t n, struct rk_err *err)
{
    size_t now;
    int r = 0;

    while (n > 0 && r >= 0 && t->phase == PHASE_OPEN) {
        if (t->kind == RK_WS_MORE) {
            r = read_head(t, p, n, err);
            now = r < 0 ? n : (size_t)r;
        } else {
            now = t->frame.n - t->done < n ? t->frame.n - t->done : n;
            if (t->kind == RK_WS_BINARY) {
                if (!pass_on(t, p, now))
                    return 0;
            } else {
                if (t->kind != RK_WS_TEXT)
                    rk_ws_mask(t->control + t->done, p, now, t->frame.mask, t->done);
                t->done += now;
            }
        }
        p += now;
        n -= now;
        if (r >= 0 && t->kind != RK_WS_MORE && t->done == t->frame.n)
            r = frame_ends(t, err);
    }
    return r < 0 ? r : 0;
}

/* --- the upgrade --- */

static int read_request(struct rk_tunnel *t, const uint8_t *p, size_t n, struct rk_err *err)
{
    size_t before = t->request.n, room = RK_WS_UPGRADE_MAX_BYTES - before;
    char reply[RK_WS_REPLY_MAX];
    struct rk_ws_upgrade u = { 0 };
    int status;

    rk_buf_put(&t->request, p, n < room ? n : room);
    status = rk_ws_upgrade_parse(t->request.p, t->request.n, t->path, &u);
    if (status == 0)
        return 0;
    if (status == 404) {
        t->phase = PHASE_CLOSED;
        return rk_fail(err, RK_NOT_FOUND, "not the path of the websocket");
    }
    t->ops->write(t->arg, reply, rk_ws_upgrade_reply(status, &u, reply));
    if (status != 101) {
        t->phase = PHASE_CLOSED;
        return rk_fail(err, RK_DENIED, "websocket refused: %d", status);
    }
    t->phase = PHASE_OPEN;
    t->ops->on_open(t->arg, &u);
    n -= u.whole - before;
    p += u.whole - before;
    rk_buf_done(&t->request);
    rk_buf_init(&t->request, RK_WS_UPGRADE_MAX_BYTES);
    return read_frames(t, p, n, err);
}

int rk_tunnel_feed(struct rk_tunnel *t, const uint8_t *p, size_t n, struct rk_err *err)
{
    switch (t->phase) {
    case PHASE_REQUEST:
        return read_request(t, p, n, err);
    case PHASE_OPEN:
        return read_frames(t, p, n, err);
    case PHASE_CLOSED:
        break;
    }
    return 0;
}
