#pragma once

/*
 * Router: which replica holds a key, and the way there. In Redis each key has an entry
 * `rk:sig:peer:<key>` (in a Redis Cluster `rk:{sig}:peer:<key>`: scripts want one slot) =
 * "<epoch>|<node>" that expires unless its owner refreshes it; each replica listens on
 * `rk:sig:node:<node>`. A message to a key elsewhere is one lookup (cached) and one unicast
 * PUBLISH. Without Redis the replica serves what is connected to it and nothing blocks. Loop thread
 * only.
 */

#include <stdint.h>

#include "libcommon/base/bytes.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/loop/loop.h"
#include "libcommon/rds/config.h"

struct router;
struct source;
struct stream;
struct fifo_budget;

struct router_ops {
    /* The stream's registration holds cluster-wide, or (Redis away) here. Exactly once per
     * router_register. */
    void (*on_registered)(struct stream *s, uint64_t epoch, void *arg);
    void (*on_reply_done)(struct stream *s, void *arg); /* one of s->replies is spent */
    /* The key is registered elsewhere with this epoch, by an agent at `source` (all zero: not
     * known): end what is older here. */
    void (*on_superseded)(struct rk_str key,
                          uint64_t epoch,
                          const struct source *source,
                          void *arg);
    /* A frame for a key that should be here; false when it is not. */
    bool (*on_frame)(struct rk_str key, struct rk_bytes *frame, void *arg);
    void (*on_up)(bool up, void *arg);
};

/* `budget` bounds the messages that wait for Redis, together with those that wait for agents. */
int router_new(struct rk_loop *l,
               const struct rk_rds_config *redis,
               struct fifo_budget *budget,
               const struct router_ops *ops,
               void *arg,
               struct router **out,
               struct rk_err *err);
void router_close(struct router *r, void (*on_closed)(void *arg), void *arg);

void router_register(struct router *r, struct stream *s);
void router_unregister(struct router *r, struct rk_str key, uint64_t epoch);
/* Sends a whole gRPC frame to wherever the key is; absent keys drop it. */
void router_forward(struct router *r, struct rk_str key, struct rk_bytes *frame);
/* Keeps the entries of these streams alive, takes them back after a loss of Redis, and finds those
 * that were superseded. */
void router_refresh(struct router *r, struct stream *const *streams, size_t n);
