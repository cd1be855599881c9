#pragma once

/*
 * The connection of an agent in a browser, which has no sockets of its own: the bytes of its HTTP/2
 * connection come as the payload of WebSocket messages, and leave as such. First the upgrade
 * request, then frames; where a message ends means nothing, text is skipped, pings are answered.
 *
 * Nothing is held of what comes in but the frame's header and a control frame. Such an agent drops
 * messages when a hundred of them wait, so what leaves in one turn leaves in as few as can be, of
 * at most 32 KiB each. No socket, no loop.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/net/ws_upgrade.h"

struct rk_tunnel;

#define RK_TUNNEL_MAX_FRAME (1024 * 1024) /* of the agent; more is an error */
#define RK_TUNNEL_MAX_MESSAGE (32 * 1024) /* of ours */
#define RK_TUNNEL_PONG_LIMIT 4096 /* with more than this waiting below, pings are not answered */

struct rk_tunnel_ops {
    /* Below: the connection. `write` copies. */
    void (*write)(void *arg, const void *p, size_t n);
    size_t (*queued)(void *arg);
    /* Above. `u` is valid during the call. */
    void (*on_open)(void *arg, const struct rk_ws_upgrade *u);
    /* Bytes of the HTTP/2 connection. False: they are the last that are wanted. */
    bool (*on_bytes)(void *arg, const uint8_t *p, size_t n);
};

/* Never NULL; `path` must outlive it. */
struct rk_tunnel *rk_tunnel_new(struct rk_str path, const struct rk_tunnel_ops *ops, void *arg);
void rk_tunnel_free(struct rk_tunnel *t);
RK_DEFINE_AUTO(struct rk_tunnel, rk_tunnel_free)

/* Negative: nothing more will come or go; the connection is to be closed once what was written has
 * left, the answer included. RK_NOT_FOUND: a request for another path, and it has no answer yet.
 * RK_UNAVAILABLE: the agent said goodbye. RK_DENIED: the upgrade is refused. */
int rk_tunnel_feed(struct rk_tunnel *t, const uint8_t *p, size_t n, struct rk_err *err) RK_CHECKED;

bool rk_tunnel_is_open(const struct rk_tunnel *t);
/* Gathers bytes of the HTTP/2 connection; ignored when it is not open. */
void rk_tunnel_write(struct rk_tunnel *t, const void *p, size_t n);
size_t rk_tunnel_gathered(const struct rk_tunnel *t);
/* Sends what was gathered; returns how many bytes that were. */
size_t rk_tunnel_flush(struct rk_tunnel *t);

enum rk_tunnel_end {
    RK_TUNNEL_DONE = 1000,
    RK_TUNNEL_PROTOCOL = 1002,
    RK_TUNNEL_TOO_BIG = 1009,
};

/* Sends what was gathered and the goodbye, once. */
void rk_tunnel_close(struct rk_tunnel *t, enum rk_tunnel_end code);
