/*
 * nghttp2 session with our policy.
 *
 * Memory: most agents are idle, so nothing is allocated for a quiet connection beyond nghttp2's own
 * state (memory.h), and both HPACK tables are sized to what pays (see new_options). DATA is not
 * copied into nghttp2's frame buffer: it asks for the length with `ready`, and `take` writes the
 * bytes straight into the connection's output.
 */

#include "libcommon/http2/session.h"

#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/http2/memory.h"

#define RESET_WINDOW_MS 10000
#define RESETS 200
#define OVERSIZED_WINDOW_MS 10000
#define OVERSIZED_HEADERS 4 /* lists over our limit, which a few KB on the wire can stand for */
#define HEADER_BOMB 8       /* one of so many times the limit ends the connection at once */
#define DATA_BYTES (16 * 1024 - 9)
#define CONTROL_BYTES 4096 /* for all but DATA, where no more of that is taken */
#define FLOOD_WINDOW_MS 10000
#define FLOOD_FRAMES 2000 /* PING, SETTINGS, PRIORITY, DATA with nothing in it: in one window */

/* A proxy of ours, which carries many, may do so many times as much of all this as who is known,
 * and a stranger, of whom there may be thousands, as little. */
#define FACTOR 20

/* So much is read at a time: where it is too much of something, the rest is not looked at. */
#define PIECE 4096

/* Frames that wait in the session for room below: answers to streams, acknowledgements, resets. A
 * decent peer has a few for each of its streams; one that reads nothing could make us keep more for
 * ever. */
#define MAX_WAITING_FRAMES 5000

/* Counts events in windows that follow each other; no history. */
struct rate {
    uint64_t since_ms;
    unsigned count;
};

struct rk_h2 {
    nghttp2_session *ng;
    struct rk_h2_memory memory;
    const struct rk_h2_ops *ops;
    void *arg;
    struct rate resets;
    struct rate control;
    struct rate oversized;
    uint64_t frames_in;
    size_t streams;
    unsigned header_bytes; /* of the block being read */
    bool server;
    bool trusted;
    bool known;
    bool reading; /* in nghttp2_session_mem_recv */
    bool terminated;
    uint32_t terminated_with;
    bool goaway_sent;
    const char *why;
};

static bool rate_over(const struct rk_h2 *h, struct rate *r, uint64_t window_ms, unsigned max)
{
    uint64_t now = rk_mono_ms();

    if (h->trusted)
        max *= FACTOR;
    else if (!h->known)
        max = max > FACTOR ? max / FACTOR : 1;
    if (now - r->since_ms >= window_ms) {
        r->since_ms = now;
        r->count = 0;
    }
    return ++r->count > max;
}

/* Stream user data is the owner's pointer with its lowest bit set once it has been answered. */
static void *stream_get(struct rk_h2 *h, int32_t id)
{
    uintptr_t v = (uintptr_t)nghttp2_session_get_stream_user_data(h->ng, id);

    return (void *)(v & ~(uintptr_t)1); /* NOLINT: tagged pointer */
}

/* nghttp2 reads on when it is told to terminate while it reads, and before 1.68.1 a frame of a
 * wrong size then is an assertion that fails: it is told afterwards, and stopped (CVE-2026-27135).
 */
void rk_h2_terminate(struct rk_h2 *h, uint32_t h2_error)
{
    if (h->terminated)
        return;
    h->terminated = true;
    h->terminated_with = h2_error;
    if (!h->reading)
        nghttp2_session_terminate_session(h->ng, h2_error);
    h->ops->want_flush(h->arg);
}

static void calm(struct rk_h2 *h, const char *why)
{
    if (!h->why)
        h->why = why;
    rk_h2_terminate(h, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* --- callbacks from nghttp2 --- */

static ssize_t cb_send(nghttp2_session *ng, const uint8_t *p, size_t n, int flags, void *arg)
{
    struct rk_h2 *h = arg;

    (void)ng;
    (void)flags;
    if (h->ops->queued(h->arg) >= RK_H2_OUT_HIGH + CONTROL_BYTES)
        return NGHTTP2_ERR_WOULDBLOCK;
    h->ops->write(h->arg, p, n);
    return (ssize_t)n;
}

static int cb_send_data(nghttp2_session *ng,
                        nghttp2_frame *frame,
                        const uint8_t *framehd,
                        size_t length,
                        nghttp2_data_source *source,
                        void *arg)
{
    struct rk_h2 *h = arg;
    void *stream = stream_get(h, frame->hd.stream_id);

    (void)ng;
    (void)source;
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (h->ops->queued(h->arg) >= RK_H2_OUT_HIGH)
        return NGHTTP2_ERR_WOULDBLOCK;
    h->ops->write(h->arg, framehd, 9);
    if (length > 0)
        h->ops->take(stream, length);
    return 0;
}

/* With its header a frame of DATA is one record of TLS. */
static ssize_t cb_length(nghttp2_session *ng,
                         uint8_t type,
                         int32_t id,
                         int32_t connection_window,
                         int32_t stream_window,
                         uint32_t max_frame,
                         void *arg)
{
    int32_t n = max_frame < DATA_BYTES ? (int32_t)max_frame : DATA_BYTES;

    (void)ng;
    (void)type;
    (void)id;
    (void)arg;
    if (connection_window < n)
        n = connection_window;
    return stream_window < n ? stream_window : n;
}

static ssize_t cb_ready(nghttp2_session *ng,
                        int32_t id,
                        uint8_t *buf,
                        size_t max,
                        uint32_t *flags,
                        nghttp2_data_source *source,
                        void *arg)
{
    struct rk_h2 *h = arg;
    void *stream = stream_get(h, id);
    nghttp2_nv nv[4];
    bool end = false;
    size_t n, count;

    (void)buf;
    (void)source;
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    n = h->ops->ready(stream, max, &end);
    if (n == 0 && !end)
        return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        count = h->ops->trailers(stream, nv, RK_COUNT(nv));
        if (count > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (nghttp2_submit_trailer(ng, id, nv, count) < 0)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)n;
}

static int cb_begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
    struct rk_h2 *h = arg;
    void *stream;

    h->header_bytes = 0;
    if (!h->server || f->hd.type != NGHTTP2_HEADERS || f->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    stream = h->ops->on_begin(h, f->hd.stream_id, h->arg);
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    h->streams++;
    nghttp2_session_set_stream_user_data(ng, f->hd.stream_id, stream);
    return 0;
}

/* A list over our limit is made out to its end, which keeps HPACK in step, and its stream reset
 * then; but not one that stands for much more. */
static int oversized(struct rk_h2 *h)
{
    if (h->header_bytes <= HEADER_BOMB * RK_H2_MAX_HEADER_BYTES)
        return 0;
    calm(h, "a header list far over the limit");
    return NGHTTP2_ERR_PAUSE;
}

static int cb_header(nghttp2_session *ng,
                     const nghttp2_frame *f,
                     const uint8_t *name,
                     size_t name_n,
                     const uint8_t *value,
                     size_t value_n,
                     uint8_t flags,
                     void *arg)
{
    struct rk_h2 *h = arg;
    void *stream = stream_get(h, f->hd.stream_id);

    (void)ng;
    (void)flags;
    h->header_bytes += (unsigned)(name_n + value_n + 32);
    if (h->header_bytes > RK_H2_MAX_HEADER_BYTES)
        return oversized(h);
    if (stream)
        h->ops->on_header(stream, rk_strn(name, name_n), rk_strn(value, value_n));
    return 0;
}

/* False: there was too much in it. */
static bool headers_end(struct rk_h2 *h, int32_t id)
{
    if (h->header_bytes <= RK_H2_MAX_HEADER_BYTES)
        return true;
    if (rate_over(h, &h->oversized, OVERSIZED_WINDOW_MS, OVERSIZED_HEADERS))
        calm(h, "too many header lists over the limit");
    rk_h2_reset(h, id, NGHTTP2_INTERNAL_ERROR);
    return false;
}

static void control_frame(struct rk_h2 *h)
{
    if (rate_over(h, &h->control, FLOOD_WINDOW_MS, FLOOD_FRAMES))
        calm(h, "too many control frames");
}

/* Rapid reset: work was asked for and thrown away before its answer, by them or for a fault of
 * theirs. A cancel that crosses the answer (or the end) of its stream is fine. */
static void reset_frame(struct rk_h2 *h, int32_t id)
{
    uintptr_t v = (uintptr_t)nghttp2_session_get_stream_user_data(h->ng, id);

    if (h->server && v && !(v & 1) && rate_over(h, &h->resets, RESET_WINDOW_MS, RESETS))
        calm(h, "too many streams reset before their answer");
}

static int cb_frame(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
    struct rk_h2 *h = arg;
    void *stream = f->hd.stream_id ? stream_get(h, f->hd.stream_id) : NULL;
    bool end = (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    (void)ng;
    h->frames_in++;
    switch (f->hd.type) {
    case NGHTTP2_HEADERS:
        if (!headers_end(h, f->hd.stream_id))
            break;
        if (stream)
            h->ops->on_headers_end(stream, end);
        if (stream && end && stream_get(h, f->hd.stream_id))
            h->ops->on_end(stream);
        break;
    case NGHTTP2_DATA:
        if (f->data.hd.length == 0 && !end)
            control_frame(h); /* empty DATA costs the sender no window */
        if (stream && end)
            h->ops->on_end(stream);
        break;
    case NGHTTP2_PING:
        if (!(f->hd.flags & NGHTTP2_FLAG_ACK))
            control_frame(h);
        break;
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PRIORITY:
        control_frame(h);
        break;
    case NGHTTP2_RST_STREAM:
        reset_frame(h, f->hd.stream_id);
        break;
    case NGHTTP2_GOAWAY:
        if (h->ops->on_goaway)
            h->ops->on_goaway(h->arg);
        break;
    default:
        break;
    }
    if (nghttp2_session_want_write(h->ng))
        h->ops->want_flush(h->arg);
    return h->terminated ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int
cb_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
    struct rk_h2 *h = arg;
    void *stream = stream_get(h, id);

    (void)ng;
    (void)flags;
    if (stream)
        h->ops->on_data(stream, p, n);
    return h->terminated ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* The answer is complete but the client has not ended its side: tell it not to bother. A reset that
 * is nobody's here is nghttp2's, for a fault of the client's. */
static int cb_frame_sent(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
    struct rk_h2 *h = arg;

    if (f->hd.type == NGHTTP2_RST_STREAM && f->rst_stream.error_code != NGHTTP2_NO_ERROR)
        reset_frame(h, f->hd.stream_id);
    if (h->server && (f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA) &&
        (f->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
        nghttp2_session_get_stream_remote_close(ng, f->hd.stream_id) == 0)
        nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, f->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

static int cb_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
    struct rk_h2 *h = arg;
    void *stream = stream_get(h, id);

    if (!stream)
        return 0;
    nghttp2_session_set_stream_user_data(ng, id, NULL);
    h->streams--;
    h->ops->on_close(stream, code);
    return 0;
}

/* --- construction --- */

static nghttp2_session_callbacks *new_callbacks(void)
{
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb) != 0)
        abort();
    nghttp2_session_callbacks_set_send_callback(cb, cb_send);
    nghttp2_session_callbacks_set_send_data_callback(cb, cb_send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(cb, cb_length);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, cb_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, cb_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, cb_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, cb_frame_sent);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, cb_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, cb_stream_close);
    return cb;
}

static nghttp2_option *new_options(bool server)
{
    nghttp2_option *o;

    if (nghttp2_option_new(&o) != 0)
        abort();
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_outbound_ack(o, 500);
    /* Our answers are three short, static header fields: an encoder table would cost more than it
     * saves. */
    nghttp2_option_set_max_deflate_dynamic_table_size(o, 0);
    nghttp2_option_set_max_reserved_remote_streams(o, 0);
    /* Our own bound tells harmless cancels from abuse; the library's does not. */
    if (server)
        nghttp2_option_set_stream_reset_rate_limit(o, 1u << 30, 1u << 30);
    return o;
}

struct rk_h2 *rk_h2_new(bool server, bool trusted, const struct rk_h2_ops *ops, void *arg)
{
    struct rk_h2 *h = rk_new(struct rk_h2);
    nghttp2_session_callbacks *cb = new_callbacks();
    nghttp2_option *o = new_options(server);
    nghttp2_settings_entry iv[] = {
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, RK_H2_STREAM_WINDOW },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, RK_H2_MAX_HEADER_BYTES },
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, RK_H2_MAX_STREAMS },
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
    };
    nghttp2_mem mem = rk_h2_memory_init(&h->memory);
    int r;

    h->server = server;
    h->trusted = trusted;
    h->known = !server;
    h->ops = ops;
    h->arg = arg;
    r = server ? nghttp2_session_server_new3(&h->ng, cb, h, o, &mem)
               : nghttp2_session_client_new3(&h->ng, cb, h, o, &mem);
    if (r != 0)
        abort();
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(o);
    /* A server does not speak of push. */
    nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, iv, server ? RK_COUNT(iv) - 1 : RK_COUNT(iv));
    nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0, RK_H2_CONN_WINDOW);
    return h;
}

void rk_h2_free(struct rk_h2 *h)
{
    if (!h)
        return;
    nghttp2_session_del(h->ng);
    rk_h2_memory_done(&h->memory);
    free(h);
}

/* --- bytes --- */

/* As nghttp2_session_mem_recv, but for what we have stopped ourselves. */
static ssize_t read_frames(struct rk_h2 *h, const uint8_t *p, size_t n)
{
    ssize_t r = 0;

    if (h->terminated)
        return 0;
    h->reading = true;
    for (size_t at = 0; at < n && r >= 0 && !h->terminated; at += PIECE)
        r = nghttp2_session_mem_recv(h->ng, p + at, n - at < PIECE ? n - at : PIECE);
    h->reading = false;
    if (!h->terminated)
        return r;
    nghttp2_session_terminate_session(h->ng, h->terminated_with);
    return 0;
}

int rk_h2_feed(struct rk_h2 *h, const uint8_t *p, size_t n, struct rk_err *err)
{
    ssize_t r = read_frames(h, p, n);

    if (r == NGHTTP2_ERR_FLOODED) { /* of acknowledgements */
        calm(h, "too many control frames");
        r = 0;
    }
    if (nghttp2_session_get_outbound_queue_size(h->ng) > MAX_WAITING_FRAMES)
        calm(h, "too many frames wait for a peer that does not read");
    if (nghttp2_session_want_write(h->ng))
        h->ops->want_flush(h->arg);
    if (r < 0)
        return rk_fail(err, RK_INVALID, "HTTP/2: %s", nghttp2_strerror((int)r));
    if (h->why)
        return rk_fail(err, RK_EXHAUSTED, "HTTP/2: %s", h->why);
    return 0;
}

int rk_h2_flush(struct rk_h2 *h, struct rk_err *err)
{
    int r = nghttp2_session_send(h->ng);

    if (r < 0)
        return rk_fail(err, RK_INVALID, "HTTP/2: %s", nghttp2_strerror(r));
    return 0;
}

bool rk_h2_done(const struct rk_h2 *h)
{
    return !nghttp2_session_want_read(h->ng) && !nghttp2_session_want_write(h->ng);
}

void rk_h2_known(struct rk_h2 *h)
{
    h->known = true;
}

/* --- streams --- */

int rk_h2_respond(struct rk_h2 *h, int32_t id, const nghttp2_nv *nv, size_t count, bool end)
{
    nghttp2_data_provider d = { .read_callback = cb_ready };
    int r = nghttp2_submit_response(h->ng, id, nv, count, end ? NULL : &d);

    rk_h2_answered(h, id);
    h->ops->want_flush(h->arg);
    return r == 0 ? 0 : RK_UNAVAILABLE;
}

int32_t rk_h2_request(struct rk_h2 *h, const nghttp2_nv *nv, size_t count, void *stream)
{
    nghttp2_data_provider d = { .read_callback = cb_ready };
    int32_t id;

    id = nghttp2_submit_request(h->ng, NULL, nv, count, &d, stream);
    if (id > 0) {
        h->streams++;
        h->ops->want_flush(h->arg);
    }
    return id;
}

void rk_h2_resume(struct rk_h2 *h, int32_t id)
{
    if (nghttp2_session_resume_data(h->ng, id) == 0)
        h->ops->want_flush(h->arg);
}

void rk_h2_reset(struct rk_h2 *h, int32_t id, uint32_t h2_error)
{
    nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, id, h2_error);
    rk_h2_answered(h, id);
    h->ops->want_flush(h->arg);
}

void rk_h2_answered(struct rk_h2 *h, int32_t id)
{
    uintptr_t v = (uintptr_t)nghttp2_session_get_stream_user_data(h->ng, id);

    if (v)
        nghttp2_session_set_stream_user_data(h->ng, id,
                                             (void *)(v | 1)); /* NOLINT: tagged pointer */
}

void rk_h2_forget(struct rk_h2 *h, int32_t id)
{
    /* Also reaches a request that still waits to be sent, which has no stream to look up yet. */
    if (nghttp2_session_set_stream_user_data(h->ng, id, NULL) == 0 && h->streams > 0)
        h->streams--;
}

void rk_h2_ping(struct rk_h2 *h)
{
    nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, NULL);
    h->ops->want_flush(h->arg);
}

uint64_t rk_h2_frames_in(const struct rk_h2 *h)
{
    return h->frames_in;
}

size_t rk_h2_streams(const struct rk_h2 *h)
{
    return h->streams;
}

bool rk_h2_asked(const struct rk_h2 *h)
{
    return nghttp2_session_get_last_proc_stream_id(h->ng) > 0;
}

void rk_h2_goaway(struct rk_h2 *h)
{
    if (h->goaway_sent || h->terminated)
        return;
    h->goaway_sent = true;
    nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->ng),
                          NGHTTP2_NO_ERROR, NULL, 0);
    h->ops->want_flush(h->arg);
}
