#pragma once

/*
 * Sentinels: where the master is. Every one of them is connected to and listened to, so that a
 * failover is heard of although some of them died with the master. Loop thread only.
 */

#include <stdbool.h>

#include "libcommon/loop/loop.h"
#include "libcommon/rds/config.h"

struct sentinels;

struct sentinels_ops {
    /* `moved`: one of them tells of a failover, whatever was known is old. Otherwise it is what one
     * answered when it was asked, which may be behind. */
    void (*on_master)(const char *address, bool moved, void *arg);
    void (*on_closed)(void *arg);
};

/* Connects to all of them on the next turn, and each is asked. `config` must stay. */
struct sentinels *sentinels_new(struct rk_loop *l,
                                const struct rk_rds_config *config,
                                const struct sentinels_ops *ops,
                                void *arg);
/* Asks one, the next in turn; one that is away is asked when it is back. */
void sentinels_ask(struct sentinels *s);
/* NULL is not fine. No more on_master; on_closed on a later turn. */
void sentinels_close(struct sentinels *s);
