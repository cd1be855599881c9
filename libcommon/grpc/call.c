/*
 * Server side of a call: from request headers to trailers, on top of one HTTP/2 stream.
 *
 * The call lives from the first header until the stream closes. What the owner sends waits in the
 * call's own queue and is pulled by the session while stream window, connection window and socket
 * have room.
 */

#include <string.h>

#include <netinet/in.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/grpc/call_int.h"
#include "libcommon/grpc/forwarded.h"
#include "libcommon/grpc/percent.h"
#include "libcommon/grpc/timeout.h"

#define MAX_MESSAGE_TEXT 1024
#define MAX_FORWARDED 16 /* x-forwarded-for headers looked at */

/* A client's address that is not the connection's. */
struct forwarded {
    struct sockaddr_storage ss;
    char text[RK_ADDR_LEN];
};

struct deadline {
    struct rk_timer timer;
    struct rk_grpc_call *call;
};

struct rk_grpc_call {
    struct rk_list node;
    struct rk_grpc_link *peer;
    const struct rk_grpc_method *method; /* NULL: unknown path or refused */
    void *data;
    struct rk_buf headers; /* be16 name length, be16 value length, name, value ... */
    struct rk_grpc_frame in;
    struct rk_grpc_outq out;
    size_t promised; /* bytes the session was told are ready, not taken yet */
    uint64_t moved_ms;
    struct forwarded *from;
    struct deadline *deadline;
    char *message; /* percent-encoded */
    int32_t id;
    int status;
    struct rk_list incomplete; /* of the core, while something is counted */
    size_t counted;            /* share of peer->buffered */
    uint64_t since_ms;
    bool started : 1;
    bool on_started : 1;
    bool got_message : 1;
    bool extra_message : 1;
    bool in_closed : 1; /* nothing more is delivered */
    bool half_closed : 1;
    bool headers_sent : 1;
    bool mid_message : 1; /* part of a message has left */
    bool finishing : 1;
    bool finished : 1; /* by the owner */
    bool reset : 1;
};

#define NV(n, v, vn)                                                                               \
    (nghttp2_nv)                                                                                   \
    {                                                                                              \
        .name = (uint8_t *)(uintptr_t)(n), .value = (uint8_t *)(uintptr_t)(v),                     \
        .namelen = strlen(n), .valuelen = (vn), .flags = NGHTTP2_NV_FLAG_NONE                      \
    }

/* --- requests' metadata --- */

static struct rk_str header_at(const struct rk_grpc_call *c, size_t *at, struct rk_str *out_name)
{
    const uint8_t *p = c->headers.p + *at;
    size_t nn = (size_t)p[0] << 8 | p[1], vn = (size_t)p[2] << 8 | p[3];

    *out_name = rk_strn(p + 4, nn);
    *at += 4 + nn + vn;
    return rk_strn(p + 4 + nn, vn);
}

void rk_grpc_known(struct rk_grpc_call *c)
{
    rk_h2_known(c->peer->h2);
}

struct rk_str rk_grpc_header(const struct rk_grpc_call *c, const char *name)
{
    struct rk_str n, v;

    for (size_t at = 0; at < c->headers.n;) {
        v = header_at(c, &at, &n);
        if (rk_str_eq(n, rk_str(name)))
            return v;
    }
    return (struct rk_str){ NULL, 0 };
}

/* A proxy may add to the list or add one more header: all of them are looked at. */
static void find_client(struct rk_grpc_call *c)
{
    struct rk_str values[MAX_FORWARDED], n, v;
    struct sockaddr_storage found;
    size_t count = 0;

    for (size_t at = 0; at < c->headers.n;) {
        v = header_at(c, &at, &n);
        if (!rk_str_eq(n, RK_STR("x-forwarded-for")))
            continue;
        if (count == MAX_FORWARDED) {
            memmove(values, values + 1, sizeof(values[0]) * (MAX_FORWARDED - 1));
            count--;
        }
        values[count++] = v;
    }
    if (!rk_grpc_forwarded(values, count, c->peer->core->trusted_proxies, &found))
        return;
    c->from = rk_new(struct forwarded);
    c->from->ss = found;
    rk_addr_format_ip((struct sockaddr *)&found, c->from->text);
}

const struct sockaddr *rk_grpc_peer(const struct rk_grpc_call *c)
{
    return c->from ? (const struct sockaddr *)&c->from->ss : c->peer->sa;
}

const char *rk_grpc_remote(const struct rk_grpc_call *c)
{
    return c->from ? c->from->text : c->peer->remote;
}

void rk_grpc_set_data(struct rk_grpc_call *c, void *data)
{
    c->data = data;
}

void *rk_grpc_data(const struct rk_grpc_call *c)
{
    return c->data;
}

/* --- output --- */

static void respond(struct rk_grpc_call *c, const nghttp2_nv *nv, size_t count, bool end)
{
    c->headers_sent = true;
    if (rk_h2_respond(c->peer->h2, c->id, nv, count, end) < 0)
        rk_h2_reset(c->peer->h2, c->id, NGHTTP2_INTERNAL_ERROR);
}

void rk_grpc_send_headers(struct rk_grpc_call *c, const char *name, const char *value)
{
    nghttp2_nv nv[3] = { NV(":status", "200", 3), NV("content-type", "application/grpc", 16) };
    size_t count = 2;

    if (c->headers_sent || c->finishing)
        return;
    if (name)
        nv[count++] = NV(name, value, strlen(value));
    respond(c, nv, count, false);
}

static void enqueue(struct rk_grpc_call *c, struct rk_bytes *b)
{
    if (c->out.bytes == 0)
        c->moved_ms = rk_mono_ms();
    rk_grpc_outq_add(&c->out, b);
    if (c->headers_sent)
        rk_h2_resume(c->peer->h2, c->id);
    else
        rk_grpc_send_headers(c, NULL, NULL);
}

void rk_grpc_send(struct rk_grpc_call *c, struct rk_str msg)
{
    if (!c->finishing)
        enqueue(c, rk_grpc_frame_make(msg));
}

void rk_grpc_send_frame(struct rk_grpc_call *c, struct rk_bytes *frame)
{
    if (!c->finishing)
        enqueue(c, rk_bytes_ref(frame));
}

size_t rk_grpc_queued(const struct rk_grpc_call *c)
{
    return c->reset ? 0 : c->out.bytes;
}

uint64_t rk_grpc_stalled_since(const struct rk_grpc_call *c)
{
    return rk_grpc_queued(c) > 0 ? c->moved_ms : 0;
}

static size_t status_fields(const struct rk_grpc_call *c, char digits[4], nghttp2_nv *nv)
{
    int n = snprintf(digits, 4, "%d", c->status);

    nv[0] = NV("grpc-status", digits, (size_t)n);
    if (!c->message)
        return 1;
    nv[1] = NV("grpc-message", c->message, strlen(c->message));
    return 2;
}

/* Ends the call after what is queued. */
static void end_call(struct rk_grpc_call *c, int status, const char *message)
{
    nghttp2_nv nv[4];
    char digits[4];

    if (c->finishing)
        return;
    c->finishing = true;
    c->in_closed = true;
    c->status = status >= 0 && status <= 16 ? status : RK_GRPC_UNKNOWN;
    if (message && *message)
        c->message = rk_percent_encode(message, MAX_MESSAGE_TEXT);
    if (c->headers_sent) {
        rk_h2_resume(c->peer->h2, c->id);
        return;
    }
    nv[0] = NV(":status", "200", 3);
    nv[1] = NV("content-type", "application/grpc", 16);
    respond(c, nv, 2 + status_fields(c, digits, nv + 2), true);
}

/* The same without delay for what is queued. */
static void abort_call(struct rk_grpc_call *c, int status, const char *message)
{
    if (c->reset)
        return;
    if (c->mid_message || c->promised > 0) {
        c->reset = true;
        c->finishing = true;
        c->in_closed = true;
        rk_grpc_outq_trim(&c->out, c->promised);
        rk_h2_reset(c->peer->h2, c->id, NGHTTP2_CANCEL);
        return;
    }
    rk_grpc_outq_done(&c->out);
    if (c->finishing)
        rk_h2_resume(c->peer->h2, c->id);
    else
        end_call(c, status, message);
}

void rk_grpc_finish(struct rk_grpc_call *c, int status, const char *message)
{
    c->finished = true;
    end_call(c, status, message);
}

void rk_grpc_abort(struct rk_grpc_call *c, int status, const char *message)
{
    c->finished = true;
    abort_call(c, status, message);
}

static size_t h2_ready(void *stream, size_t max, bool *out_end)
{
    struct rk_grpc_call *c = stream;
    size_t n = c->out.bytes < max ? c->out.bytes : max;

    *out_end = c->finishing && n == c->out.bytes;
    c->promised = n;
    return n;
}

static void h2_take(void *stream, size_t n)
{
    struct rk_grpc_call *c = stream;

    c->promised = 0;
    rk_grpc_outq_take(&c->out, n, c->peer->write, c->peer->io);
    c->mid_message = c->out.off > 0;
    c->moved_ms = rk_mono_ms();
    if (c->out.bytes == 0 && !c->finishing && c->method && c->method->on_writable)
        c->method->on_writable(c, c->peer->core->arg);
}

static size_t h2_trailers(void *stream, nghttp2_nv *nv, size_t max)
{
    static _Thread_local char digits[4];

    (void)max;
    return status_fields(stream, digits, nv);
}

/* --- input --- */

static void drop_input(struct rk_grpc_call *c)
{
    c->peer->buffered -= c->counted;
    c->peer->core->buffered -= c->counted;
    c->counted = 0;
    rk_list_remove(&c->incomplete);
    rk_grpc_frame_clear(&c->in);
    rk_buf_done(&c->headers);
}

static void give_up(struct rk_grpc_call *c, int status, const char *why)
{
    end_call(c, status, why);
    drop_input(c);
}

static struct rk_grpc_call *oldest_incomplete(const struct rk_grpc_core *core)
{
    return rk_list_empty(&core->incomplete)
               ? NULL
               : rk_list_entry(core->incomplete.next, struct rk_grpc_call, incomplete);
}

static struct rk_grpc_call *oldest_incomplete_of(struct rk_grpc_link *p)
{
    struct rk_list *n, *tmp;

    rk_list_each(&p->calls, n, tmp)
    {
        struct rk_grpc_call *c = rk_list_entry(n, struct rk_grpc_call, node);

        if (c->counted > 0)
            return c;
    }
    return NULL;
}

/* What is kept of requests that are not complete is counted for the connection and for the server.
 * Where it is too much the oldest give way: were it the newest, a few who never end theirs could
 * keep everybody out, and who means it has long said the rest. */
static void count_input(struct rk_grpc_call *c)
{
    struct rk_grpc_link *p = c->peer;
    struct rk_grpc_core *core = p->core;
    size_t now = c->in.buf.cap + c->headers.cap;
    struct rk_grpc_call *oldest;

    if (c->counted == 0 && now > 0) {
        c->since_ms = rk_mono_ms();
        rk_list_append(&core->incomplete, &c->incomplete);
    }
    p->buffered += now - c->counted;
    core->buffered += now - c->counted;
    c->counted = now;
    while (p->buffered > RK_GRPC_MAX_PEER_BUFFERED && (oldest = oldest_incomplete_of(p)) != NULL)
        give_up(oldest, RK_GRPC_RESOURCE_EXHAUSTED, "too many incomplete messages");
    while (core->buffered > core->max_buffered && (oldest = oldest_incomplete(core)) != NULL)
        give_up(oldest, RK_GRPC_RESOURCE_EXHAUSTED, "too many incomplete messages");
}

void rk_grpc_core_expire(struct rk_grpc_core *core, uint64_t now_ms)
{
    struct rk_grpc_call *c;

    while ((c = oldest_incomplete(core)) != NULL && now_ms >= c->since_ms + RK_GRPC_INCOMPLETE_MS)
        give_up(c, RK_GRPC_DEADLINE_EXCEEDED, "request not complete in time");
}

static void on_deadline(struct rk_timer *t)
{
    struct deadline *d = rk_container_of(t, struct deadline, timer);

    abort_call(d->call, RK_GRPC_DEADLINE_EXCEEDED, "deadline exceeded");
    drop_input(d->call);
}

static void on_deadline_closed(struct rk_timer *t)
{
    free(rk_container_of(t, struct deadline, timer));
}

static void set_deadline(struct rk_grpc_call *c, uint64_t ms)
{
    if (!c->peer->core->loop)
        return;
    c->deadline = rk_new(struct deadline);
    c->deadline->call = c;
    rk_timer_init(c->peer->core->loop, &c->deadline->timer, on_deadline);
    rk_timer_start(&c->deadline->timer, ms, 0);
}

static void
refuse_http(struct rk_grpc_call *c, const char *status, const char *name, const char *value)
{
    nghttp2_nv nv[2] = { NV(":status", status, 3) };
    size_t count = 1;

    if (name)
        nv[count++] = NV(name, value, strlen(value));
    c->finishing = true;
    c->in_closed = true;
    respond(c, nv, count, true);
}

/* application/grpc, alone or with a "+subtype" or parameters. */
static bool is_grpc(struct rk_str type)
{
    struct rk_str want = RK_STR("application/grpc");

    return rk_str_starts(type, want) &&
           (type.n == want.n || type.p[want.n] == '+' || type.p[want.n] == ';');
}

static void start(struct rk_grpc_call *c)
{
    const struct rk_grpc_method *m;
    struct rk_str timeout;
    uint64_t ms;

    c->started = true;
    if (!rk_str_eq(rk_grpc_header(c, ":method"), RK_STR("POST"))) {
        refuse_http(c, "405", "allow", "POST");
        return;
    }
    if (!is_grpc(rk_grpc_header(c, "content-type"))) {
        refuse_http(c, "415", NULL, NULL);
        return;
    }
    m = rk_map_get(c->peer->core->methods, rk_grpc_header(c, ":path"));
    if (!m) {
        end_call(c, RK_GRPC_UNIMPLEMENTED, "unknown method");
        return;
    }
    timeout = rk_grpc_header(c, "grpc-timeout");
    if (timeout.p && !rk_grpc_timeout_parse(timeout, &ms)) {
        end_call(c, RK_GRPC_INTERNAL, "malformed grpc-timeout");
        return;
    }
    if (c->peer->trusted)
        find_client(c);
    c->method = m;
    c->in.max = m->max_in;
    rk_grpc_frame_clear(&c->in);
    if (timeout.p)
        set_deadline(c, ms);
    if (m->on_start)
        m->on_start(c, c->peer->core->arg);
}

static void h2_headers_end(void *stream, bool end)
{
    struct rk_grpc_call *c = stream;

    (void)end;
    if (c->started)
        return; /* trailers of the request: nothing in them concerns us */
    start(c);
    if (c->in_closed || c->method->streams)
        rk_buf_done(&c->headers);
    else
        count_input(c);
}

static void h2_header(void *stream, struct rk_str name, struct rk_str value)
{
    struct rk_grpc_call *c = stream;

    if (c->started)
        return;
    /* The session bounds the block at 16 KiB, so the lengths fit. */
    rk_buf_put_be16(&c->headers, (uint16_t)name.n);
    rk_buf_put_be16(&c->headers, (uint16_t)value.n);
    rk_buf_put_str(&c->headers, name);
    rk_buf_put_str(&c->headers, value);
}

static void stream_message(struct rk_grpc_call *c, struct rk_str msg)
{
    if (c->method->on_message)
        c->method->on_message(c, msg, c->peer->core->arg);
}

static void h2_data(void *stream, const uint8_t *p, size_t n)
{
    struct rk_grpc_call *c = stream;
    struct rk_str msg;

    while (n > 0 && !c->in_closed) {
        if (c->got_message && !c->method->streams) {
            end_call(c, RK_GRPC_INTERNAL, "more than one request message");
            break;
        }
        switch (rk_grpc_frame_feed(&c->in, &p, &n, !c->method->streams, &msg)) {
        case RK_GRPC_FRAME_MESSAGE:
            if (c->method->streams)
                stream_message(c, msg);
            else
                c->got_message = true;
            break;
        case RK_GRPC_FRAME_COMPRESSED:
            end_call(c, RK_GRPC_UNIMPLEMENTED, "compressed messages are not supported");
            break;
        case RK_GRPC_FRAME_INVALID:
            end_call(c, RK_GRPC_INTERNAL, "malformed message frame");
            break;
        case RK_GRPC_FRAME_TOO_BIG:
            end_call(c, RK_GRPC_RESOURCE_EXHAUSTED, "message larger than max");
            break;
        case RK_GRPC_FRAME_MORE:
            break;
        }
    }
    if (c->in_closed || (c->method->streams && !rk_grpc_frame_partial(&c->in)))
        drop_input(c);
    else
        count_input(c);
}

static void h2_end(void *stream)
{
    struct rk_grpc_call *c = stream;
    const struct rk_grpc_method *m = c->method;

    c->half_closed = true;
    if (c->in_closed)
        return;
    if (rk_grpc_frame_partial(&c->in)) {
        give_up(c, RK_GRPC_INTERNAL, "incomplete message");
    } else if (m->streams) {
        if (m->on_half_close)
            m->on_half_close(c, c->peer->core->arg);
    } else if (!c->got_message) {
        end_call(c, RK_GRPC_INTERNAL, "no request message");
    } else {
        c->in_closed = true;
        m->on_message(c,
                      rk_strn(c->in.buf.p + RK_GRPC_FRAME_HEAD, c->in.buf.n - RK_GRPC_FRAME_HEAD),
                      c->peer->core->arg);
        drop_input(c);
    }
}

/* --- life --- */

static void call_free(struct rk_grpc_call *c)
{
    rk_list_remove(&c->node);
    if (c->deadline)
        rk_timer_close(&c->deadline->timer, on_deadline_closed);
    if (c->method && c->method->on_gone)
        c->method->on_gone(c, c->finished, c->peer->core->arg);
    drop_input(c);
    rk_grpc_outq_done(&c->out);
    free(c->from);
    free(c->message);
    free(c);
}

static void *h2_begin(struct rk_h2 *h, int32_t id, void *arg)
{
    struct rk_grpc_link *p = arg;
    struct rk_grpc_call *c = rk_new(struct rk_grpc_call);

    (void)h;
    c->peer = p;
    c->id = id;
    rk_buf_init(&c->headers, 2 * RK_H2_MAX_HEADER_BYTES);
    rk_grpc_frame_init(&c->in, 0);
    rk_list_init(&c->incomplete);
    rk_list_append(&p->calls, &c->node);
    return c;
}

static void h2_close(void *stream, uint32_t h2_error)
{
    (void)h2_error;
    call_free(stream);
}

static void h2_write(void *arg, const void *b, size_t n)
{
    struct rk_grpc_link *p = arg;

    p->write(p->io, b, n);
}

static size_t h2_queued(void *arg)
{
    struct rk_grpc_link *p = arg;

    return p->queued(p->io);
}

static void h2_want_flush(void *arg)
{
    struct rk_grpc_link *p = arg;

    p->want_flush(p->io);
}

static const struct rk_h2_ops ops = {
    .write = h2_write,
    .queued = h2_queued,
    .want_flush = h2_want_flush,
    .on_begin = h2_begin,
    .on_header = h2_header,
    .on_headers_end = h2_headers_end,
    .on_data = h2_data,
    .on_end = h2_end,
    .on_close = h2_close,
    .ready = h2_ready,
    .take = h2_take,
    .trailers = h2_trailers,
};

void rk_grpc_link_init(struct rk_grpc_link *p, struct rk_grpc_core *core)
{
    p->core = core;
    rk_list_init(&p->calls);
    p->trusted = !p->tunnelled && core->trusted_proxies && p->sa &&
                 rk_cidrs_contains(core->trusted_proxies, p->sa);
    p->h2 = rk_h2_new(true, p->trusted, &ops, p);
}

void rk_grpc_link_done(struct rk_grpc_link *p)
{
    while (!rk_list_empty(&p->calls)) {
        struct rk_grpc_call *c = rk_list_entry(p->calls.next, struct rk_grpc_call, node);

        rk_h2_forget(p->h2, c->id);
        call_free(c);
    }
    rk_h2_free(p->h2);
    p->h2 = NULL;
}

void rk_grpc_core_init(struct rk_grpc_core *core,
                       struct rk_loop *l,
                       const struct rk_grpc_method *methods,
                       size_t count,
                       void *arg)
{
    *core = (struct rk_grpc_core){
        .loop = l, .methods = rk_map_new(), .arg = arg, .max_buffered = RK_GRPC_MAX_BUFFERED
    };
    rk_list_init(&core->incomplete);
    for (size_t i = 0; i < count; i++)
        rk_map_put(core->methods, rk_str(methods[i].path), (void *)(uintptr_t)&methods[i]);
}

void rk_grpc_core_done(struct rk_grpc_core *core)
{
    rk_map_free(core->methods);
    core->methods = NULL;
}
