#pragma once

/*
 * Redis on the loop: one connection for commands, one for subscriptions, each reconnecting by
 * itself (100 ms doubling to 2 s, jittered), at a fixed address or wherever Sentinels, or nodes of
 * a Redis Cluster, say that the master is. While it is down commands fail at once with
 * RK_UNAVAILABLE; after it is back every channel is subscribed again and `on_up` tells the owner
 * that messages may have been lost. Loss and return are logged once. Loop thread only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/loop/loop.h"
#include "libcommon/rds/config.h"

struct rk_rds;

struct rk_rds_ops {
    void (*on_up)(
        struct rk_rds *r,
        void *arg); /* both connections work and all channels are subscribed; first time too */
    void (*on_down)(struct rk_rds *r, void *arg);
    void (*on_message)(struct rk_rds *r, struct rk_str channel, struct rk_str payload, void *arg);
};

/* `config` must stay as it is until this is closed. RK_INVALID when it is not one. */
int rk_rds_new(struct rk_loop *l,
               const struct rk_rds_config *config,
               const struct rk_rds_ops *ops,
               void *arg,
               struct rk_rds **out,
               struct rk_err *err);
void rk_rds_close(struct rk_rds *r,
                  void (*on_closed)(void *arg),
                  void *arg); /* freed on a later turn */
bool rk_rds_up(const struct rk_rds *r);
/* In a Redis Cluster all keys must hold RK_RDS_TAG, by which they have one slot. */
bool rk_rds_clustered(const struct rk_rds *r);
#define RK_RDS_TAG "{sig}"
const char *rk_rds_why(const struct rk_rds *r); /* it went down, or does not come up; "" */

void rk_rds_subscribe(struct rk_rds *r, const char *channel); /* remembered across reconnects */

/* Reply to a command. Exactly one call per rk_rds_command, never inside it. */
struct rk_rds_reply {
    int code; /* 0, RK_UNAVAILABLE (down, or lost before the answer), RK_INTERNAL (error reply, text
                 in str) */
    bool nil;
    int64_t integer;                    /* integer reply */
    struct rk_str str;                  /* string or status reply; valid during the call */
    const struct rk_rds_reply *element; /* array reply */
    size_t n;
};
typedef void rk_rds_reply_fn(const struct rk_rds_reply *reply, void *arg);

/* argv style, binary safe. on_reply may be NULL. At most 100,000 commands wait; further ones fail
 * at once. */
void rk_rds_command(
    struct rk_rds *r, const struct rk_str *argv, size_t argc, rk_rds_reply_fn *on_reply, void *arg);
#define rk_rds_run(r, on_reply, arg, ...)                                                          \
    rk_rds_command((r), (const struct rk_str[]){ __VA_ARGS__ },                                    \
                   sizeof((const struct rk_str[]){ __VA_ARGS__ }) / sizeof(struct rk_str),         \
                   (on_reply), (arg))
/* PUBLISH without waiting. */
void rk_rds_publish(struct rk_rds *r, const char *channel, struct rk_str payload);
