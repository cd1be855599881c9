#pragma once

/* Server side, between the files of grpc/: a call and the connection it lives on. Loop thread only.
 */

#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"
#include "libcommon/base/map.h"
#include "libcommon/grpc/frame.h"
#include "libcommon/grpc/outq.h"
#include "libcommon/grpc/server.h"
#include "libcommon/http2/session.h"

/* What calls need to know of their server; also made by tests and the fuzz target, without a
 * socket. */
struct rk_grpc_core {
    struct rk_loop *loop;   /* NULL: no deadlines */
    struct rk_map *methods; /* path -> struct rk_grpc_method */
    const struct rk_cidrs *trusted_proxies;
    void *arg;
    size_t buffered; /* by incomplete requests on all connections */
    size_t max_buffered;
    struct rk_list incomplete; /* calls, the oldest first */
};

/* One HTTP/2 connection with its calls, above whatever carries the bytes. */
struct rk_grpc_link {
    struct rk_grpc_core *core;
    struct rk_h2 *h2;
    struct rk_list calls;
    const struct sockaddr *sa;
    const char *remote;
    /* The bytes are the client's own, whoever brought them: no header in them is believed. */
    bool tunnelled;
    bool trusted;
    size_t buffered;
    void (*write)(void *arg, const void *p, size_t n);
    size_t (*queued)(void *arg);
    void (*want_flush)(void *arg);
    void *io;
};

/* A connection may hold this much of incomplete requests, all of them together that much: then the
 * oldest ends with RESOURCE_EXHAUSTED. */
#define RK_GRPC_MAX_PEER_BUFFERED (32u * 1024 * 1024)
#define RK_GRPC_MAX_BUFFERED (256u * 1024 * 1024)
/* And for so long each. */
#define RK_GRPC_INCOMPLETE_MS 30000

void rk_grpc_core_init(struct rk_grpc_core *core,
                       struct rk_loop *l,
                       const struct rk_grpc_method *methods,
                       size_t count,
                       void *arg);
void rk_grpc_core_done(struct rk_grpc_core *core);
/* Ends the calls whose request has not become complete in time; to be called now and then. */
void rk_grpc_core_expire(struct rk_grpc_core *core, uint64_t now_ms);

/* The fields sa, remote, tunnelled, write, queued, want_flush and io are set by the caller before.
 */
void rk_grpc_link_init(struct rk_grpc_link *p, struct rk_grpc_core *core);
/* The connection is lost: on_gone for every call. */
void rk_grpc_link_done(struct rk_grpc_link *p);
