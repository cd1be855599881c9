#pragma once

/*
 * gRPC client over nghttp2: one connection, many calls. Relays and STUN servers register with it;
 * else it is for tools, tests and benches. It trusts its server: a message may have 64 MiB. Loop
 * thread only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/conf/addr.h"
#include "libcommon/loop/loop.h"
#include "libcommon/net/tls.h"

struct rk_grpc_client;
struct rk_grpc_client_call;

struct rk_grpc_client_ops {
    void (*on_headers)(struct rk_grpc_client_call *c,
                       void *arg); /* response headers; may be NULL */
    void (*on_message)(struct rk_grpc_client_call *c,
                       struct rk_str msg,
                       void *arg); /* valid during the call */
    /* Last; c is gone afterwards. Status as received, or UNAVAILABLE when the connection broke,
     * DEADLINE_EXCEEDED ... */
    void (*on_done)(struct rk_grpc_client_call *c, int status, const char *message, void *arg);
};

/* Starts connecting; calls made before it is up wait. `on_closed` is the last callback of the
 * client. */
int rk_grpc_client_new(struct rk_loop *l,
                       const struct rk_addr *addr,
                       struct rk_tls *tls,
                       const char *authority,
                       void (*on_closed)(struct rk_grpc_client *c, const char *why, void *arg),
                       void *arg,
                       struct rk_grpc_client **out,
                       struct rk_err *err);
void rk_grpc_client_close(struct rk_grpc_client *c);
/* Connected, and not lost yet; false already when calls are told that it is lost. */
bool rk_grpc_client_is_open(const struct rk_grpc_client *c);
/* For keepalive as the caller likes it: frames read so far, and a PING, which is answered by one.
 */
uint64_t rk_grpc_client_frames_in(const struct rk_grpc_client *c);
void rk_grpc_client_ping(struct rk_grpc_client *c);

/* deadline_ms 0 = none. `name`/`value`: one extra metadata pair, or NULL. */
struct rk_grpc_client_call *rk_grpc_call(struct rk_grpc_client *c,
                                         const char *path,
                                         const char *name,
                                         const char *value,
                                         uint64_t deadline_ms,
                                         const struct rk_grpc_client_ops *ops,
                                         void *arg);
void rk_grpc_call_send(struct rk_grpc_client_call *c, struct rk_str msg, bool half_close);
void rk_grpc_call_cancel(struct rk_grpc_client_call *c);
struct rk_str rk_grpc_call_header(const struct rk_grpc_client_call *c,
                                  const char *name); /* response header */
