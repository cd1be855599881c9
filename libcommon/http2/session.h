#pragma once

/*
 * One HTTP/2 connection over nghttp2, without a socket: bytes go in with rk_h2_feed, bytes leave
 * through ops->write. It holds settings, header bounds, keepalive, GOAWAY and the bounds on hostile
 * frames; what a stream means is the owner's. Output DATA is pulled from the streams only while the
 * connection below has room, so a slow peer leaves its data in its own streams. Not thread-safe;
 * knows no loop.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nghttp2/nghttp2.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

struct rk_h2;

#define RK_H2_MAX_STREAMS 1000       /* open at once, a connection */
#define RK_H2_MAX_HEADER_BYTES 16384 /* names + values + 32 each */
#define RK_H2_STREAM_WINDOW (256 * 1024)
#define RK_H2_CONN_WINDOW (4 * 1024 * 1024)
#define RK_H2_OUT_HIGH (64 * 1024) /* no more DATA is pulled while this much waits below */

struct rk_h2_ops {
    /* Below: the connection. `write` copies. `queued` is what it has not sent yet. */
    void (*write)(void *arg, const void *p, size_t n);
    size_t (*queued)(void *arg);
    /* There is output: the owner calls rk_h2_flush soon, not from inside this call. */
    void (*want_flush)(void *arg);

    /* Streams. `stream` is what on_begin returned (server) or rk_h2_request was given (client). */
    void *(*on_begin)(struct rk_h2 *h, int32_t id, void *arg); /* server only */
    void (*on_header)(void *stream, struct rk_str name, struct rk_str value);
    /* One header block is complete. `end`: the peer sends nothing more. */
    void (*on_headers_end)(void *stream, bool end);
    void (*on_data)(void *stream, const uint8_t *p, size_t n);
    void (*on_end)(void *stream); /* after the last on_data or on_headers_end(end = true) */
    /* Last call for the stream. */
    void (*on_close)(void *stream, uint32_t h2_error);

    /* Output: at most `max` bytes ready now, 0 when there are none yet; *out_end when they are the
     * last. */
    size_t (*ready)(void *stream, size_t max, bool *out_end);
    /* Writes exactly n of them, that `ready` promised, with ops->write. */
    void (*take)(void *stream, size_t n);
    /* After the last byte: trailers, or none (count 0 ends the stream with DATA). */
    size_t (*trailers)(void *stream, nghttp2_nv *nv, size_t max);
    void (*on_goaway)(void *arg); /* client: the peer takes no new streams; may be NULL */
};

/* `trusted`: behind a proxy of ours that carries many agents on one connection; abuse bounds are 20
 * times wider. A server's client that is not known is a stranger, with bounds 20 times narrower. */
struct rk_h2 *rk_h2_new(bool server, bool trusted, const struct rk_h2_ops *ops, void *arg);
/* The peer has shown who it is. */
void rk_h2_known(struct rk_h2 *h);
/* Streams still open get no callback: the owner has its own list. */
void rk_h2_free(struct rk_h2 *h);
RK_DEFINE_AUTO(struct rk_h2, rk_h2_free)

/* Negative: the connection is over (err says why); flush once more, so that the peer gets its
 * GOAWAY, and close. */
int rk_h2_feed(struct rk_h2 *h, const uint8_t *p, size_t n, struct rk_err *err);
/* Moves what may be sent to ops->write. Negative as above. */
int rk_h2_flush(struct rk_h2 *h, struct rk_err *err);
bool rk_h2_done(const struct rk_h2 *h); /* nothing more to read or write: close after flushing */

/* Response headers; `end` makes them the whole answer. The values are copied. */
int rk_h2_respond(struct rk_h2 *h, int32_t id, const nghttp2_nv *nv, size_t count, bool end);
/* Client: opens a stream whose DATA comes from `stream`. Negative when the peer takes no more. */
int32_t rk_h2_request(struct rk_h2 *h, const nghttp2_nv *nv, size_t count, void *stream);
void rk_h2_resume(struct rk_h2 *h, int32_t id);                   /* ready() has something again */
void rk_h2_reset(struct rk_h2 *h, int32_t id, uint32_t h2_error); /* an answer too */
void rk_h2_answered(struct rk_h2 *h,
                    int32_t id); /* a reset of this stream is no longer suspicious */
/* Later frames of the stream reach nobody. For an owner that lets go before on_close. */
void rk_h2_forget(struct rk_h2 *h, int32_t id);

void rk_h2_ping(struct rk_h2 *h);
/* Counts frames read since the start: keepalive compares two readings. */
uint64_t rk_h2_frames_in(const struct rk_h2 *h);
size_t rk_h2_streams(const struct rk_h2 *h);
bool rk_h2_asked(const struct rk_h2 *h); /* server: there was a stream */
/* No new streams: GOAWAY(NO_ERROR) with the last stream seen. Open ones go on. */
void rk_h2_goaway(struct rk_h2 *h);
void rk_h2_terminate(struct rk_h2 *h, uint32_t h2_error); /* GOAWAY and nothing more */
