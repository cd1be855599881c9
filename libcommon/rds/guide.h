#pragma once

/*
 * Guides say where the master is: Sentinels, or nodes of a Redis Cluster, where it is the master of
 * the slot in which all our keys are. Every one of them is connected to and heard, so that a
 * failover is known although some of them died with the master. Loop thread only.
 */

#include <stdbool.h>

#include "libcommon/loop/loop.h"
#include "libcommon/rds/config.h"

struct guides;

struct guides_ops {
    /* `moved`: one of them tells of a change, whatever was known is old. Otherwise it is what one
     * answered when it was asked, which may be behind. */
    void (*on_master)(const char *address, bool moved, void *arg);
    void (*on_closed)(void *arg);
};

/* Connects to all of them on the next turn, and each is asked. `config` must stay. */
struct guides *guides_new(struct rk_loop *l,
                          const struct rk_rds_config *config,
                          const struct guides_ops *ops,
                          void *arg);
/* Asks one, the next in turn; one that is away is asked when it is back. */
void guides_ask(struct guides *g);
/* NULL is not fine. No more on_master; on_closed on a later turn. */
void guides_close(struct guides *g);
