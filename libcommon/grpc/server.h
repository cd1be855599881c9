#pragma once

/*
 * gRPC server over nghttp2, on one loop: unary calls, server streams and bidirectional streams as
 * one thing: a call that gets messages and may send messages until it is finished. Knows nothing of
 * protobuf: messages are bytes.
 *
 * It holds, for everyone: HTTP/2 over TLS and h2c with prior knowledge, the same inside a
 * WebSocket where one is wanted (agents in browsers), anything else told so in HTTP/1.1 (405, 505);
 * POST with content-type application/grpc*, else 405/415; unknown path = UNIMPLEMENTED; compressed
 * flag 1 = UNIMPLEMENTED; a message over max_in = RESOURCE_EXHAUSTED before it is buffered;
 * grpc-timeout; PINGs answered at once and punished only as a flood; own PING after 30 s of
 * silence, connection closed when that is unanswered for 15 s; at most 1000 streams a connection;
 * header list of at most 16 KiB (4 larger ones in 10 s, of a stranger 1, are let be; the next one
 * ends the connection); rapid reset bounded (200, of a stranger 10, resets in 10 s before our
 * answer, of theirs or for a fault of theirs; the next one = GOAWAY ENHANCE_YOUR_CALM); requests
 * that are not complete bounded to 30 s, 32 MiB a connection and 256 MiB in all, where the oldest
 * ends with RESOURCE_EXHAUSTED; flow control that costs only the slow peer. Loop thread only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "libcommon/base/bytes.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/conf/addr.h"
#include "libcommon/grpc/status.h"
#include "libcommon/loop/loop.h"
#include "libcommon/net/tls.h"
#include "libcommon/obs/metrics.h"

struct rk_grpc_server;
struct rk_grpc_call;

/* One row a method. Callbacks may finish the call inside; `on_gone` is always the last one and
 * always comes. */
struct rk_grpc_method {
    const char *path; /* "/management.ManagementService/Login" */
    size_t max_in;    /* bytes of one request message */
    bool streams; /* false: unary; on_message comes exactly once, after the client half-closed with
                     one message (none or two = INTERNAL by the library) */
    void (*on_start)(struct rk_grpc_call *c, void *arg); /* request headers arrived; may be NULL */
    void (*on_message)(struct rk_grpc_call *c,
                       struct rk_str msg,
                       void *arg); /* msg valid during the call; msg.p - 5
is the start of its gRPC frame (flag 0, length), so it can be forwarded unchanged */
    void (*on_half_close)(struct rk_grpc_call *c,
                          void *arg); /* streams only; may be NULL (ignored) */
    void (*on_writable)(struct rk_grpc_call *c,
                        void *arg); /* streams: rk_grpc_queued fell to 0; may be NULL */
    /* The call is over: finished and flushed, reset by the client, deadline, or connection lost. c
     * is gone afterwards. `finished` tells whether rk_grpc_finish was called before. May be NULL.
     */
    void (*on_gone)(struct rk_grpc_call *c, bool finished, void *arg);
};

/* Connections inside a WebSocket: GET of `path` with an upgrade. TLS must then also offer
 * http/1.1. What a proxy tells of the client stands in the upgrade request; headers of the calls
 * themselves are the client's own words. */
enum rk_grpc_tunnel_metric {
    RK_GRPC_TUNNEL_ACTIVE,
    RK_GRPC_TUNNEL_BYTES,  /* enum rk_grpc_tunnel_direction */
    RK_GRPC_TUNNEL_ERRORS, /* enum rk_grpc_tunnel_error */
    RK_GRPC_TUNNEL_METRICS,
};

enum rk_grpc_tunnel_direction {
    RK_GRPC_TUNNEL_IN,
    RK_GRPC_TUNNEL_OUT,
};

enum rk_grpc_tunnel_error {
    RK_GRPC_TUNNEL_REFUSED, /* the upgrade */
    RK_GRPC_TUNNEL_READ,    /* a bad frame, or gone without a goodbye */
    RK_GRPC_TUNNEL_WRITE,   /* gone while output waited */
    RK_GRPC_TUNNEL_INNER,   /* what was in the messages is not HTTP/2 */
};

struct rk_grpc_tunnels {
    const char *path; /* "/ws-proxy/signal" */
    struct rk_metric metrics[RK_GRPC_TUNNEL_METRICS];
};

extern const char *const rk_grpc_tunnel_directions[];
extern const char *const rk_grpc_tunnel_errors[];

/* The rows; the owner registers them. */
#define RK_GRPC_TUNNEL_ROWS(prefix)                                                                \
    {                                                                                              \
        [RK_GRPC_TUNNEL_ACTIVE] = { .name = prefix "wsproxy_active_connections",                   \
                                    .help = "Connections inside a WebSocket.",                     \
                                    .type = RK_GAUGE },                                            \
        [RK_GRPC_TUNNEL_BYTES] = { .name = prefix "wsproxy_bytes_transferred_total",               \
                                   .help = "Bytes carried inside WebSockets.",                     \
                                   .type = RK_COUNTER,                                             \
                                   .label = "direction",                                           \
                                   .values = rk_grpc_tunnel_directions },                          \
        [RK_GRPC_TUNNEL_ERRORS] = { .name = prefix "wsproxy_errors_total",                         \
                                    .help = "WebSockets refused or broken.",                       \
                                    .type = RK_COUNTER,                                            \
                                    .label = "error_type",                                         \
                                    .values = rk_grpc_tunnel_errors },                             \
    }

struct rk_grpc_server_config {
    const struct rk_grpc_method *methods;
    size_t count;
    void *arg;                              /* to every callback */
    struct rk_tls *tls;                     /* NULL: cleartext */
    struct rk_grpc_tunnels *tunnels;        /* NULL: none */
    const struct rk_cidrs *trusted_proxies; /* whose x-forwarded-for is believed; may be NULL */
    size_t max_connections;                 /* 0 = 65536; further ones are closed at once */
    /* Milliseconds; 0 stands for what is in brackets. */
    uint64_t preface_ms;   /* from accepting to the whole preface, TLS handshake included (10000) */
    uint64_t nudge_ms;     /* without any call, before our PING; then twice that, and so on (500) */
    uint64_t keepalive_ms; /* silence before our PING (30000) */
    uint64_t answer_ms;    /* for any frame after it, else the peer is dead (15000) */
    uint64_t idle_ms;      /* without a stream, looked at every keepalive_ms (300000) */
    uint64_t flush_ms;     /* for what is queued at an orderly end (5000) */
};

/* One server, one address; several servers may share methods. */
int rk_grpc_server_new(struct rk_loop *l,
                       const struct rk_addr *listen,
                       const struct rk_grpc_server_config *cfg,
                       struct rk_grpc_server **out,
                       struct rk_err *err);
const char *rk_grpc_server_address(const struct rk_grpc_server *s);
size_t rk_grpc_server_connections(const struct rk_grpc_server *s);
/* Stops accepting, sends GOAWAY(NO_ERROR) on every connection; open calls go on. The owner then
 * finishes its streams. */
void rk_grpc_server_drain(struct rk_grpc_server *s);
/* Closes what is left; `on_closed` on a later turn, after the last on_gone. */
void rk_grpc_server_close(struct rk_grpc_server *s, void (*on_closed)(void *arg), void *arg);

/* --- a call --- */

/* Owner's pointer; NULL at start. */
void rk_grpc_set_data(struct rk_grpc_call *c, void *data);
void *rk_grpc_data(const struct rk_grpc_call *c);
/* Request metadata, lower-case name; {NULL,0} when absent; the first of several. Valid during
 * on_start and, for unary methods, on_message. */
struct rk_str rk_grpc_header(const struct rk_grpc_call *c, const char *name);
/* Client's address: x-forwarded-for (last hop that is not trusted) when the connection comes from a
 * trusted proxy. */
const struct sockaddr *rk_grpc_peer(const struct rk_grpc_call *c);
const char *rk_grpc_remote(const struct rk_grpc_call *c); /* text of the same, for logs */
/* Who calls has shown who it is: what its connection may send of PING, RST_STREAM and the like is
 * no longer bounded as a stranger's is (libcommon/http2/session.h). */
void rk_grpc_known(struct rk_grpc_call *c);

/* Sends response headers now (streams; otherwise they go with the first message). `name`/`value`
 * one extra header, or NULL. */
void rk_grpc_send_headers(struct rk_grpc_call *c, const char *name, const char *value);
/* Queues one message. Copies. */
void rk_grpc_send(struct rk_grpc_call *c, struct rk_str msg);
/* Queues a whole, already framed message (flag, length, payload) without copying; takes its own
 * reference. */
void rk_grpc_send_frame(struct rk_grpc_call *c, struct rk_bytes *frame);
size_t rk_grpc_queued(
    const struct rk_grpc_call *c); /* bytes of messages not yet handed to the connection */
/* rk_mono_ms since when this call has had queued bytes without any of them moving; 0 when nothing
 * is queued. */
uint64_t rk_grpc_stalled_since(const struct rk_grpc_call *c);
/* Ends the call after what is queued; `message` is percent-encoded here; may be NULL. Later sends
 * are ignored. */
void rk_grpc_finish(struct rk_grpc_call *c, int status, const char *message);
/* Drops what is queued and ends the call now: trailers if nothing is half-sent, else RST_STREAM. */
void rk_grpc_abort(struct rk_grpc_call *c, int status, const char *message);
