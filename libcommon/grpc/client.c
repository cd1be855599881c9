/*
 * gRPC client: one connection, many calls; calls made before it is up are requests that wait in the
 * session.
 */

#include "libcommon/grpc/client.h"

#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"
#include "libcommon/grpc/frame.h"
#include "libcommon/grpc/outq.h"
#include "libcommon/grpc/percent.h"
#include "libcommon/grpc/status.h"
#include "libcommon/grpc/timeout.h"
#include "libcommon/http2/session.h"
#include "libcommon/net/conn.h"

#define MAX_MESSAGE (64u * 1024 * 1024)
#define CLOSE_LIMIT_MS 2000

struct call_deadline {
    struct rk_timer timer;
    struct rk_grpc_client_call *call;
};

struct rk_grpc_client_call {
    struct rk_list node;
    struct rk_grpc_client *client;
    const struct rk_grpc_client_ops *ops;
    void *arg;
    struct rk_buf headers; /* be16 name length, be16 value length, name, value ... */
    struct rk_grpc_frame in;
    struct rk_grpc_outq out;
    struct call_deadline *deadline;
    struct rk_task done_task; /* a call that could not even start */
    char *message;
    int32_t id;
    int status; /* -1: none yet */
    bool got_headers;
    bool half_close;
    bool done;
};

struct rk_grpc_client {
    struct rk_loop *loop;
    struct rk_conn *conn;
    struct rk_h2 *h2;
    struct rk_list calls;
    struct rk_task flush;
    bool flush_pending;
    bool open;
    bool tls;
    bool gone; /* conn is closed; waiting for the flush task */
    char *authority;
    char *why;
    void (*on_closed)(struct rk_grpc_client *c, const char *why, void *arg);
    void *arg;
};

static void on_deadline_closed(struct rk_timer *t)
{
    free(rk_container_of(t, struct call_deadline, timer));
}

static void call_done(struct rk_grpc_client_call *c, int status, const char *message)
{
    if (c->done)
        return;
    c->done = true;
    rk_list_remove(&c->node);
    if (c->deadline)
        rk_timer_close(&c->deadline->timer, on_deadline_closed);
    c->ops->on_done(c, status, message ? message : "", c->arg);
    rk_grpc_frame_done(&c->in);
    rk_grpc_outq_done(&c->out);
    rk_buf_done(&c->headers);
    free(c->message);
    free(c);
}

/* Ends the call by our own decision. */
static void call_end(struct rk_grpc_client_call *c, int status, const char *message)
{
    struct rk_grpc_client *cl = c->client;

    if (c->id > 0 && cl->h2) {
        rk_h2_forget(cl->h2, c->id);
        rk_h2_reset(cl->h2, c->id, NGHTTP2_CANCEL);
    }
    call_done(c, status, message);
}

static void on_deadline(struct rk_timer *t)
{
    struct call_deadline *d = rk_container_of(t, struct call_deadline, timer);

    call_end(d->call, RK_GRPC_DEADLINE_EXCEEDED, "deadline exceeded");
}

/* --- streams --- */

struct rk_str rk_grpc_call_header(const struct rk_grpc_client_call *c, const char *name)
{
    struct rk_str want = rk_str(name);

    for (size_t at = 0; at < c->headers.n;) {
        const uint8_t *p = c->headers.p + at;
        size_t nn = (size_t)p[0] << 8 | p[1], vn = (size_t)p[2] << 8 | p[3];

        if (rk_str_eq(rk_strn(p + 4, nn), want))
            return rk_strn(p + 4 + nn, vn);
        at += 4 + nn + vn;
    }
    return (struct rk_str){ NULL, 0 };
}

static void h2_header(void *stream, struct rk_str name, struct rk_str value)
{
    struct rk_grpc_client_call *c = stream;
    uint64_t v;

    rk_buf_put_be16(&c->headers, (uint16_t)name.n);
    rk_buf_put_be16(&c->headers, (uint16_t)value.n);
    rk_buf_put_str(&c->headers, name);
    rk_buf_put_str(&c->headers, value);
    if (rk_str_eq(name, RK_STR("grpc-status")) && rk_str_u64(value, &v) && v <= 16) {
        c->status = (int)v;
    } else if (rk_str_eq(name, RK_STR("grpc-message"))) {
        free(c->message);
        c->message = rk_percent_decode(value);
    }
}

static void h2_headers_end(void *stream, bool end)
{
    struct rk_grpc_client_call *c = stream;

    if (c->got_headers)
        return;
    c->got_headers = true;
    if (!end && c->ops->on_headers)
        c->ops->on_headers(c, c->arg);
}

static void h2_data(void *stream, const uint8_t *p, size_t n)
{
    struct rk_grpc_client_call *c = stream;
    struct rk_str msg;

    while (n > 0) {
        switch (rk_grpc_frame_feed(&c->in, &p, &n, false, &msg)) {
        case RK_GRPC_FRAME_MESSAGE:
            c->ops->on_message(c, msg, c->arg);
            rk_grpc_frame_clear(&c->in); /* an idle stream does not keep its last message */
            break;
        case RK_GRPC_FRAME_MORE:
            return;
        case RK_GRPC_FRAME_COMPRESSED:
        case RK_GRPC_FRAME_INVALID:
        case RK_GRPC_FRAME_TOO_BIG:
            c->status = RK_GRPC_INTERNAL;
            rk_h2_reset(c->client->h2, c->id, NGHTTP2_CANCEL);
            return;
        }
        if (c->status == RK_GRPC_CANCELLED)
            return; /* cancelled inside on_message */
    }
}

static void h2_end(void *stream)
{
    (void)stream;
}

/* Without a grpc-status the HTTP status tells. */
static int status_of_http(const struct rk_grpc_client_call *c)
{
    struct rk_str s = rk_grpc_call_header(c, ":status");
    uint64_t v;

    if (!rk_str_u64(s, &v))
        return RK_GRPC_UNAVAILABLE;
    switch (v) {
    case 400:
        return RK_GRPC_INTERNAL;
    case 401:
        return RK_GRPC_UNAUTHENTICATED;
    case 403:
        return RK_GRPC_PERMISSION_DENIED;
    case 404:
        return RK_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return RK_GRPC_UNAVAILABLE;
    default:
        return RK_GRPC_UNKNOWN;
    }
}

static void h2_close(void *stream, uint32_t h2_error)
{
    struct rk_grpc_client_call *c = stream;

    if (c->status >= 0)
        call_done(c, c->status, c->message);
    else if (h2_error != NGHTTP2_NO_ERROR)
        call_done(c,
                  h2_error == NGHTTP2_CANCEL              ? RK_GRPC_CANCELLED
                  : h2_error == NGHTTP2_REFUSED_STREAM    ? RK_GRPC_UNAVAILABLE
                  : h2_error == NGHTTP2_ENHANCE_YOUR_CALM ? RK_GRPC_RESOURCE_EXHAUSTED
                                                          : RK_GRPC_INTERNAL,
                  nghttp2_http2_strerror(h2_error));
    else
        call_done(c, status_of_http(c), "no grpc-status");
}

static size_t h2_ready(void *stream, size_t max, bool *out_end)
{
    struct rk_grpc_client_call *c = stream;
    size_t n = c->out.bytes < max ? c->out.bytes : max;

    *out_end = c->half_close && n == c->out.bytes;
    return n;
}

static void write_conn(void *arg, const void *p, size_t n)
{
    struct rk_grpc_client *cl = arg;

    if (cl->conn)
        rk_conn_write(cl->conn, p, n);
}

static void h2_take(void *stream, size_t n)
{
    struct rk_grpc_client_call *c = stream;

    rk_grpc_outq_take(&c->out, n, write_conn, c->client);
}

static size_t h2_trailers(void *stream, nghttp2_nv *nv, size_t max)
{
    (void)stream;
    (void)nv;
    (void)max;
    return 0;
}

static size_t h2_queued(void *arg)
{
    struct rk_grpc_client *cl = arg;

    return cl->conn ? rk_conn_queued(cl->conn) : 0;
}

static void h2_want_flush(void *arg)
{
    struct rk_grpc_client *cl = arg;

    if (cl->flush_pending || !cl->open || cl->gone)
        return;
    cl->flush_pending = true;
    rk_loop_defer(cl->loop, &cl->flush);
}

static const struct rk_h2_ops h2_ops = {
    .write = write_conn,
    .queued = h2_queued,
    .want_flush = h2_want_flush,
    .on_header = h2_header,
    .on_headers_end = h2_headers_end,
    .on_data = h2_data,
    .on_end = h2_end,
    .on_close = h2_close,
    .ready = h2_ready,
    .take = h2_take,
    .trailers = h2_trailers,
};

/* --- connection --- */

static void pump(struct rk_grpc_client *cl)
{
    struct rk_err err = { 0 };

    if (!cl->open || !cl->conn)
        return;
    if (rk_h2_flush(cl->h2, &err) < 0)
        rk_conn_close(cl->conn, err.msg);
    else if (rk_h2_done(cl->h2))
        rk_conn_close_flush(cl->conn, "finished", CLOSE_LIMIT_MS);
}

static void client_free(struct rk_grpc_client *cl)
{
    cl->on_closed(cl, cl->why, cl->arg);
    rk_h2_free(cl->h2);
    free(cl->authority);
    free(cl->why);
    free(cl);
}

static void run_flush(struct rk_task *t)
{
    struct rk_grpc_client *cl = rk_container_of(t, struct rk_grpc_client, flush);

    cl->flush_pending = false;
    if (cl->gone)
        client_free(cl);
    else
        pump(cl);
}

static void conn_open(struct rk_conn *c, void *arg)
{
    struct rk_grpc_client *cl = arg;

    (void)c;
    cl->open = true;
    h2_want_flush(cl);
}

static void conn_read(struct rk_conn *c, const uint8_t *p, size_t n, void *arg)
{
    struct rk_grpc_client *cl = arg;
    struct rk_err err = { 0 };

    if (rk_h2_feed(cl->h2, p, n, &err) < 0)
        rk_conn_close(c, err.msg);
}

static void conn_drain(struct rk_conn *c, void *arg)
{
    (void)c;
    pump(arg);
}

static void conn_closed(struct rk_conn *c, const char *why, void *arg)
{
    struct rk_grpc_client *cl = arg;

    (void)c;
    cl->conn = NULL;
    cl->gone = true;
    cl->why = rk_strdup(why);
    while (!rk_list_empty(&cl->calls)) {
        struct rk_grpc_client_call *call =
            rk_list_entry(cl->calls.next, struct rk_grpc_client_call, node);

        if (call->id > 0)
            rk_h2_forget(cl->h2, call->id);
        call_done(call, call->status > 0 ? call->status : RK_GRPC_UNAVAILABLE, why);
    }
    if (!cl->flush_pending)
        client_free(cl);
}

static const struct rk_conn_ops conn_ops = {
    .on_open = conn_open,
    .on_read = conn_read,
    .on_drain = conn_drain,
    .on_closed = conn_closed,
};

int rk_grpc_client_new(struct rk_loop *l,
                       const struct rk_addr *addr,
                       struct rk_tls *tls,
                       const char *authority,
                       void (*on_closed)(struct rk_grpc_client *c, const char *why, void *arg),
                       void *arg,
                       struct rk_grpc_client **out,
                       struct rk_err *err)
{
    struct rk_grpc_client *cl = rk_new(struct rk_grpc_client);
    rk_auto(rk_cfree) char *host = rk_strdup(authority);
    char *colon = strrchr(host, ':');
    int r;

    if (colon)
        *colon = '\0';
    cl->loop = l;
    cl->tls = tls != NULL;
    cl->flush.run = run_flush;
    rk_list_init(&cl->flush.node);
    rk_list_init(&cl->calls);
    cl->authority = rk_strdup(authority);
    cl->on_closed = on_closed;
    cl->arg = arg;
    r = rk_conn_connect(l, addr, tls, tls ? host : NULL, &conn_ops, cl, &cl->conn, err);
    if (r < 0) {
        free(cl->authority);
        free(cl);
        return r;
    }
    cl->h2 = rk_h2_new(false, false, &h2_ops, cl);
    *out = cl;
    return 0;
}

void rk_grpc_client_close(struct rk_grpc_client *cl)
{
    if (cl->conn)
        rk_conn_close(cl->conn, "closed by us");
}

bool rk_grpc_client_is_open(const struct rk_grpc_client *cl)
{
    return cl->open && cl->conn;
}

uint64_t rk_grpc_client_frames_in(const struct rk_grpc_client *cl)
{
    return rk_h2_frames_in(cl->h2);
}

void rk_grpc_client_ping(struct rk_grpc_client *cl)
{
    rk_h2_ping(cl->h2);
    h2_want_flush(cl);
}

/* --- calls --- */

static void run_refused(struct rk_task *t)
{
    struct rk_grpc_client_call *c = rk_container_of(t, struct rk_grpc_client_call, done_task);

    call_done(c, RK_GRPC_UNAVAILABLE, "connection takes no more calls");
}

#define NV(n, v)                                                                                   \
    (nghttp2_nv)                                                                                   \
    {                                                                                              \
        .name = (uint8_t *)(uintptr_t)(n), .value = (uint8_t *)(uintptr_t)(v),                     \
        .namelen = strlen(n), .valuelen = strlen(v), .flags = NGHTTP2_NV_FLAG_NONE                 \
    }

struct rk_grpc_client_call *rk_grpc_call(struct rk_grpc_client *cl,
                                         const char *path,
                                         const char *name,
                                         const char *value,
                                         uint64_t deadline_ms,
                                         const struct rk_grpc_client_ops *ops,
                                         void *arg)
{
    struct rk_grpc_client_call *c = rk_new(struct rk_grpc_client_call);
    char timeout[RK_GRPC_TIMEOUT_LEN];
    nghttp2_nv nv[10] = {
        NV(":method", "POST"),
        NV(":scheme", cl->tls ? "https" : "http"),
        NV(":path", path),
        NV(":authority", cl->authority),
        NV("content-type", "application/grpc"),
        NV("te", "trailers"),
    };
    size_t count = 6;

    c->client = cl;
    c->ops = ops;
    c->arg = arg;
    c->status = -1;
    c->done_task.run = run_refused;
    rk_list_init(&c->done_task.node);
    rk_buf_init(&c->headers, 4 * RK_H2_MAX_HEADER_BYTES);
    rk_grpc_frame_init(&c->in, MAX_MESSAGE);
    rk_list_append(&cl->calls, &c->node);
    if (deadline_ms > 0) {
        rk_grpc_timeout_format(deadline_ms, timeout);
        nv[count++] = NV("grpc-timeout", timeout);
        c->deadline = rk_new(struct call_deadline);
        c->deadline->call = c;
        rk_timer_init(cl->loop, &c->deadline->timer, on_deadline);
        rk_timer_start(&c->deadline->timer, deadline_ms, 0);
    }
    if (name)
        nv[count++] = NV(name, value);
    c->id = cl->gone ? -1 : rk_h2_request(cl->h2, nv, count, c);
    if (c->id < 0) {
        rk_list_remove(&c->node);
        rk_loop_defer(cl->loop, &c->done_task);
    }
    return c;
}

void rk_grpc_call_send(struct rk_grpc_client_call *c, struct rk_str msg, bool half_close)
{
    if (c->half_close)
        return;
    rk_grpc_outq_add(&c->out, rk_grpc_frame_make(msg));
    c->half_close = half_close;
    if (c->id > 0)
        rk_h2_resume(c->client->h2, c->id);
}

void rk_grpc_call_cancel(struct rk_grpc_client_call *c)
{
    if (c->id < 0 || !c->client->h2)
        return; /* over already; on_done is under way */
    c->status = RK_GRPC_CANCELLED;
    rk_h2_reset(c->client->h2, c->id, NGHTTP2_CANCEL);
}
