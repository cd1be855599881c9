#pragma once

/*
 * Byte-stream connection, TCP or TLS over TCP (or a Unix socket, dialled), on one loop. Reads are
 * pushed to the owner; writes are gathered and sent once a turn. A slow peer makes `queued` grow:
 * the owner decides with it what to keep. Loop thread only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/err.h"
#include "libcommon/conf/addr.h"
#include "libcommon/loop/loop.h"
#include "libcommon/net/tls.h"

struct rk_conn;

struct rk_conn_ops {
    void (*on_open)(struct rk_conn *c,
                    void *arg); /* connected and, with TLS, handshake and ALPN done */
    /* Bytes arrived; they are valid during the call. The owner may call rk_conn_close inside. */
    void (*on_read)(struct rk_conn *c, const uint8_t *p, size_t n, void *arg);
    void (*on_drain)(struct rk_conn *c, void *arg); /* queued output fell to 0; may be NULL */
    /* Last call, on its own turn: c is gone afterwards. `why` is never NULL. */
    void (*on_closed)(struct rk_conn *c, const char *why, void *arg);
};

struct rk_listener;
/* `on_accept` gets a connection that is not open yet and must call rk_conn_start with its ops. */
int rk_listener_new(struct rk_loop *l,
                    const struct rk_addr *addr,
                    struct rk_tls *tls /* or NULL */,
                    void (*on_accept)(struct rk_conn *c, void *arg),
                    void *arg,
                    struct rk_listener **out,
                    struct rk_err *err);
void rk_listener_close(struct rk_listener *l); /* stops accepting; freed on a later turn */
const char *rk_listener_address(const struct rk_listener *l); /* as bound */

int rk_conn_connect(struct rk_loop *l,
                    const struct rk_addr *addr,
                    struct rk_tls *tls,
                    const char *server_name,
                    const struct rk_conn_ops *ops,
                    void *arg,
                    struct rk_conn **out,
                    struct rk_err *err);
void rk_conn_start(struct rk_conn *c, const struct rk_conn_ops *ops, void *arg);

/* Copies into the output queue. */
void rk_conn_write(struct rk_conn *c, const void *p, size_t n);
/* The kernel gets what is queued now, and not at the end of the turn; nobody is called back. */
void rk_conn_push(struct rk_conn *c);
size_t rk_conn_queued(const struct rk_conn *c);         /* bytes not yet taken by the kernel */
bool rk_conn_blocked(const struct rk_conn *c);          /* the kernel takes no more for now */
void rk_conn_pause(struct rk_conn *c, bool paused);     /* stops reading */
void rk_conn_close(struct rk_conn *c, const char *why); /* at once; queued output is dropped */
void rk_conn_close_flush(struct rk_conn *c,
                         const char *why,
                         uint64_t limit_ms); /* after the output left, or the limit */
const struct sockaddr *rk_conn_peer(const struct rk_conn *c);
const char *rk_conn_remote(const struct rk_conn *c); /* "1.2.3.4:567" for logs */
