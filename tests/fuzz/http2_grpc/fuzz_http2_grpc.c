/*
 * HTTP/2 and gRPC framing from any bytes, without a socket.
 *
 * The first byte chooses: which side we are, whether the preface is given, a trusted proxy, how the
 * bytes are cut, how slowly the peer reads. Server: what a message says is what the owner of the
 * calls then does, so that every call of the interface meets every state of the wire. Whatever
 * comes in, what goes out is looked at frame by frame.
 */

#include <assert.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/grpc/call_int.h"
#include "libcommon/grpc/percent.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum {
    MODE_CLIENT = 1,
    MODE_PREFACE = 2,
    MODE_TRUSTED = 4,
    MODE_BYTEWISE = 8,
    MODE_PIECES = 16, /* of 37 bytes */
    MODE_SLOW = 32,   /* the peer reads 50 bytes a piece */
};

#define TRACKED 512 /* stream ids looked at in the output */
#define SLOW_BYTES 50
#define SLOW_PIECE 37

/* What has left on one stream. */
struct sent {
    bool headers, ended, reset;
    unsigned head_n;
    uint8_t head[RK_GRPC_FRAME_HEAD];
    size_t missing; /* of the message begun */
};

struct wire {
    struct rk_buf out; /* from out_at on not yet read by the peer */
    size_t out_at;
    struct rk_buf seen; /* read by it, up to the frame that is not whole */
    struct sent sent[TRACKED];
    size_t skip; /* the client's preface */
    bool client, want_flush, slow;
};

/* --- what goes out --- */

/* Length-prefixed messages, each whole when the stream ends. */
static void check_data(struct sent *s, const uint8_t *p, size_t n)
{
    while (n > 0) {
        if (s->missing > 0) {
            size_t now = s->missing < n ? s->missing : n;

            s->missing -= now;
            p += now;
            n -= now;
            continue;
        }
        s->head[s->head_n++] = *p++;
        n--;
        if (s->head_n < RK_GRPC_FRAME_HEAD)
            continue;
        assert(s->head[0] == 0);
        s->missing = (size_t)s->head[1] << 24 | (size_t)s->head[2] << 16 | (size_t)s->head[3] << 8 |
                     s->head[4];
        s->head_n = 0;
    }
}

static void check_frame(struct wire *w, const uint8_t *f, size_t n)
{
    uint32_t id =
        ((uint32_t)f[5] << 24 | (uint32_t)f[6] << 16 | (uint32_t)f[7] << 8 | f[8]) & 0x7fffffff;
    bool end = (f[4] & NGHTTP2_FLAG_END_STREAM) != 0;
    struct sent *s = id > 0 && id < TRACKED ? &w->sent[id] : NULL;

    assert(n <= 16384);
    if (!s)
        return;
    switch (f[3]) {
    case NGHTTP2_HEADERS:
        assert(!s->ended && !s->reset);
        assert(!s->headers || end); /* a second block is the trailers */
        s->headers = true;
        break;
    case NGHTTP2_DATA:
        assert(s->headers && !s->ended && !s->reset && !(f[4] & NGHTTP2_FLAG_PADDED));
        check_data(s, f + 9, n);
        break;
    case NGHTTP2_RST_STREAM:
        s->reset = true;
        return;
    default:
        return;
    }
    if (end) {
        s->ended = true;
        assert(s->missing == 0 && s->head_n == 0);
    }
}

static size_t wire_queued(void *arg)
{
    struct wire *w = arg;

    return w->out.n - w->out_at;
}

/* The peer reads at most `max` bytes. */
static void deliver(struct wire *w, size_t max)
{
    size_t at = 0;

    if (max > wire_queued(w))
        max = wire_queued(w);
    if (max > 0)
        rk_buf_put(&w->seen, w->out.p + w->out_at, max);
    w->out_at += max;
    if (w->out_at == w->out.n) {
        rk_buf_clear(&w->out);
        w->out_at = 0;
    }
    if (w->seen.n < w->skip)
        return;
    at = w->skip;
    w->skip = 0;
    while (w->seen.n - at >= 9) {
        const uint8_t *f = w->seen.p + at;
        size_t n = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];

        if (w->seen.n - at < 9 + n)
            break;
        check_frame(w, f, n);
        at += 9 + n;
    }
    rk_buf_consume(&w->seen, at);
}

static void wire_write(void *arg, const void *p, size_t n)
{
    struct wire *w = arg;

    rk_buf_put(&w->out, p, n);
}

static void wire_want_flush(void *arg)
{
    struct wire *w = arg;

    w->want_flush = true;
}

static void wire_init(struct wire *w, unsigned mode)
{
    *w = (struct wire){ .client = (mode & MODE_CLIENT) != 0, .slow = (mode & MODE_SLOW) != 0 };
    w->skip = w->client ? 24 : 0;
    rk_buf_init(&w->out, SIZE_MAX);
    rk_buf_init(&w->seen, SIZE_MAX);
}

static void wire_done(struct wire *w)
{
    rk_buf_done(&w->out);
    rk_buf_done(&w->seen);
}

static bool flush(struct wire *w, struct rk_h2 *h)
{
    struct rk_err err = { 0 };
    int r = 0;

    if (w->want_flush) {
        w->want_flush = false;
        r = rk_h2_flush(h, &err);
        /* Frames that hold no message data may pass the mark, by one at most. */
        assert(wire_queued(w) <= RK_H2_OUT_HIGH + 2 * (16384 + 9));
    }
    return r == 0;
}

/* Feeds everything, as the socket would: a piece, then what the loop does after it. */
static void feed(struct wire *w, struct rk_h2 *h, unsigned mode, const uint8_t *p, size_t n)
{
    size_t piece = mode & MODE_BYTEWISE ? 1 : mode & MODE_PIECES ? SLOW_PIECE : n;
    struct rk_err err = { 0 };
    bool good = true;

    for (size_t at = 0; at < n && good; at += piece) {
        if (piece > n - at)
            piece = n - at;
        good = rk_h2_feed(h, p + at, piece, &err) == 0;
        good = flush(w, h) && good;
        deliver(w, w->slow ? SLOW_BYTES : SIZE_MAX);
        if (rk_h2_done(h))
            good = false;
    }
    /* The peer reads what is left; a session that went wrong has its last words. */
    do {
        deliver(w, SIZE_MAX);
        w->want_flush = true;
    } while (flush(w, h) && wire_queued(w) > 0);
}

/* --- server --- */

struct live {
    struct rk_list node;
    struct rk_grpc_call *call;
};

struct server {
    struct rk_grpc_core core;
    struct rk_grpc_link link;
    struct wire wire;
    struct rk_list live;
    unsigned started, gone;
};

static void act(struct server *s, struct rk_grpc_call *c, const uint8_t *p, size_t n);

/* Not the call itself, and only calls that are still there. */
static void act_on_others(struct server *s, struct rk_grpc_call *c, const uint8_t *p, size_t n)
{
    struct rk_list *l, *tmp;

    rk_list_each(&s->live, l, tmp)
    {
        struct live *other = rk_list_entry(l, struct live, node);

        if (other->call != c)
            act(s, other->call, p, n);
    }
}

static void send_frame(struct rk_grpc_call *c, size_t n)
{
    rk_auto(rk_bytes_unref) struct rk_bytes *b = rk_bytes_new(n + RK_GRPC_FRAME_HEAD);

    memset(b->p, 'x', n + RK_GRPC_FRAME_HEAD);
    b->p[0] = 0;
    b->p[1] = (uint8_t)(n >> 24);
    b->p[2] = (uint8_t)(n >> 16);
    b->p[3] = (uint8_t)(n >> 8);
    b->p[4] = (uint8_t)n;
    rk_grpc_send_frame(c, b);
}

/* The owner does as the message says; not all of it is what a decent owner would do. */
static void act(struct server *s, struct rk_grpc_call *c, const uint8_t *p, size_t n)
{
    char text[32];

    if (n == 0)
        return;
    if (!rk_str_copy(rk_strn(p + 1, n - 1), text, sizeof(text)))
        text[0] = '\0';
    switch (p[0]) {
    case 'e':
        rk_grpc_send(c, rk_strn(p, n));
        break;
    case 'b':
        send_frame(c, (n > 1 ? p[1] : 1u) * 512u);
        break;
    case 'h':
        rk_grpc_send_headers(c, "x-registered", "1");
        break;
    case 'f':
        rk_grpc_finish(c, n > 1 ? p[1] : 0, text);
        break;
    case 'a':
        rk_grpc_abort(c, n > 1 ? p[1] : RK_GRPC_UNKNOWN, text);
        break;
    case 'o':
        act_on_others(s, c, p + 1, n - 1);
        break;
    case 'g':
        rk_h2_goaway(s->link.h2);
        break;
    case 'p':
        rk_h2_ping(s->link.h2);
        break;
    case 't':
        rk_h2_terminate(s->link.h2, NGHTTP2_NO_ERROR);
        break;
    case '+': /* two in a row */
        if (n > 2) {
            act(s, c, p + 1, 1);
            act(s, c, p + 2, n - 2);
        }
        break;
    default:
        break;
    }
    assert((rk_grpc_queued(c) == 0) == (rk_grpc_stalled_since(c) == 0));
}

static void on_start(struct rk_grpc_call *c, void *arg)
{
    struct server *s = arg;
    struct live *l = rk_new(struct live);
    struct rk_str first = rk_grpc_header(c, "x");

    l->call = c;
    rk_list_append(&s->live, &l->node);
    rk_grpc_set_data(c, l);
    s->started++;
    assert(rk_grpc_header(c, ":path").p && rk_grpc_peer(c) && rk_grpc_remote(c)[0]);
    act(s, c, (const uint8_t *)first.p, first.n);
}

static void on_message(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    struct server *s = arg;

    assert(msg.n <= 4096 && (uint8_t)msg.p[-1] == (msg.n & 0xff) && msg.p[-5] == 0);
    act(s, c, (const uint8_t *)msg.p, msg.n);
}

static void on_unary(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    assert(rk_grpc_header(c, ":method").p);
    on_message(c, msg, arg);
}

static void on_half_close(struct rk_grpc_call *c, void *arg)
{
    (void)arg;
    rk_grpc_finish(c, RK_GRPC_OK, NULL);
}

static void on_writable(struct rk_grpc_call *c, void *arg)
{
    (void)arg;
    assert(rk_grpc_queued(c) == 0);
}

static void on_gone(struct rk_grpc_call *c, bool finished, void *arg)
{
    struct server *s = arg;
    struct live *l = rk_grpc_data(c);

    (void)finished;
    assert(l && l->call == c);
    rk_list_remove(&l->node);
    free(l);
    s->gone++;
}

static const struct rk_grpc_method methods[] = {
    { "/U", 64, false, on_start, on_unary, NULL, NULL, on_gone },
    { "/S", 4096, true, on_start, on_message, on_half_close, on_writable, on_gone },
    { "/L", 4096, true, on_start, on_message, NULL, NULL, on_gone },
};

static void serve(unsigned mode, const uint8_t *p, size_t n)
{
    static const uint8_t opening[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    static struct server s;
    struct rk_cidrs *proxies = rk_cidrs_parse(RK_STR("127.0.0.0/8,::1"), NULL);
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    s = (struct server){ 0 };
    rk_list_init(&s.live);
    wire_init(&s.wire, mode);
    rk_grpc_core_init(&s.core, NULL, methods, RK_COUNT(methods), &s);
    if (mode & MODE_TRUSTED)
        s.core.trusted_proxies = proxies;
    s.link.sa = (const struct sockaddr *)&sa;
    s.link.remote = "127.0.0.1:1";
    s.link.write = wire_write;
    s.link.queued = wire_queued;
    s.link.want_flush = wire_want_flush;
    s.link.io = &s.wire;
    rk_grpc_link_init(&s.link, &s.core);
    if (mode & MODE_PREFACE)
        feed(&s.wire, s.link.h2, 0, opening, sizeof(opening)); /* its NUL is the last byte */
    feed(&s.wire, s.link.h2, mode, p, n);
    assert(s.link.buffered <= RK_GRPC_MAX_PEER_BUFFERED && s.core.buffered == s.link.buffered);
    assert(rk_list_empty(&s.core.incomplete) == (s.core.buffered == 0));
    rk_grpc_core_expire(&s.core, UINT64_MAX);
    assert(s.core.buffered == 0);
    rk_grpc_link_done(&s.link);
    assert(s.started == s.gone && rk_list_empty(&s.live));
    assert(s.link.buffered == 0 && s.core.buffered == 0);
    rk_grpc_core_done(&s.core);
    wire_done(&s.wire);
    rk_cidrs_free(proxies);
}

/* --- client: two requests, and whatever is answered --- */

struct request {
    struct rk_grpc_frame in;
    struct rk_grpc_outq out;
    struct wire *wire;
    unsigned ends, closes;
};

static void client_header(void *stream, struct rk_str name, struct rk_str value)
{
    struct request *r = stream;

    assert(r->closes == 0 && name.n + value.n <= RK_H2_MAX_HEADER_BYTES);
    if (rk_str_eq(name, RK_STR("grpc-message"))) {
        rk_auto(rk_cfree) char *text = rk_percent_decode(value);

        assert(strlen(text) <= value.n);
    }
}

static void client_headers_end(void *stream, bool end)
{
    struct request *r = stream;

    (void)end;
    assert(r->closes == 0 && r->ends == 0);
}

static void client_data(void *stream, const uint8_t *p, size_t n)
{
    struct request *r = stream;
    struct rk_str msg;

    assert(r->closes == 0 && r->ends == 0);
    while (n > 0) {
        enum rk_grpc_frame_result kind = rk_grpc_frame_feed(&r->in, &p, &n, false, &msg);

        if (kind == RK_GRPC_FRAME_MESSAGE) {
            assert(msg.n <= 4096);
            continue;
        }
        assert(kind != RK_GRPC_FRAME_MORE || n == 0);
        break;
    }
}

static void client_end(void *stream)
{
    struct request *r = stream;

    assert(r->closes == 0);
    r->ends++;
    assert(r->ends == 1);
}

static void client_close(void *stream, uint32_t h2_error)
{
    struct request *r = stream;

    (void)h2_error;
    r->closes++;
    assert(r->closes == 1);
}

static void client_goaway(void *arg)
{
    struct wire *w = arg;

    assert(w->client);
}

static size_t client_ready(void *stream, size_t max, bool *out_end)
{
    struct request *r = stream;
    size_t n = r->out.bytes < max ? r->out.bytes : max;

    *out_end = n == r->out.bytes;
    return n;
}

static void client_take(void *stream, size_t n)
{
    struct request *r = stream;

    rk_grpc_outq_take(&r->out, n, wire_write, r->wire);
}

static size_t client_trailers(void *stream, nghttp2_nv *nv, size_t max)
{
    (void)stream;
    (void)nv;
    (void)max;
    return 0;
}

static const struct rk_h2_ops client_ops = {
    .write = wire_write,
    .queued = wire_queued,
    .want_flush = wire_want_flush,
    .on_header = client_header,
    .on_headers_end = client_headers_end,
    .on_data = client_data,
    .on_end = client_end,
    .on_close = client_close,
    .ready = client_ready,
    .take = client_take,
    .trailers = client_trailers,
    .on_goaway = client_goaway,
};

#define FIELD(n, v)                                                                                \
    {                                                                                              \
        .name = (uint8_t *)(uintptr_t)(n), .value = (uint8_t *)(uintptr_t)(v),                     \
        .namelen = sizeof(n) - 1, .valuelen = sizeof(v) - 1                                        \
    }

static void ask(unsigned mode, const uint8_t *p, size_t n)
{
    static const char body[100000]; /* more than the first window */
    static const nghttp2_nv nv[] = {
        FIELD(":method", "POST"),
        FIELD(":scheme", "http"),
        FIELD(":path", "/S"),
        FIELD(":authority", "localhost:1"),
        FIELD("content-type", "application/grpc"),
    };
    static struct wire w;
    struct request r[2] = { 0 };
    struct rk_h2 *h;

    wire_init(&w, mode);
    h = rk_h2_new(false, false, &client_ops, &w);
    for (size_t i = 0; i < RK_COUNT(r); i++) {
        int32_t id;

        r[i].wire = &w;
        rk_grpc_frame_init(&r[i].in, 4096);
        rk_grpc_outq_add(&r[i].out, rk_grpc_frame_make(rk_strn(body, i ? sizeof(body) : 10)));
        id = rk_h2_request(h, nv, RK_COUNT(nv), &r[i]);
        assert(id == (int32_t)(2 * i + 1));
    }
    (void)flush(&w, h);
    feed(&w, h, mode, p, n);
    rk_h2_free(h);
    for (size_t i = 0; i < RK_COUNT(r); i++) {
        rk_grpc_frame_done(&r[i].in);
        rk_grpc_outq_done(&r[i].out);
    }
    wire_done(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n == 0)
        return 0;
    if (p[0] & MODE_CLIENT)
        ask(p[0], p + 1, n - 1);
    else
        serve(p[0], p + 1, n - 1);
    return 0;
}
