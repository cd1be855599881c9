#pragma once

/*
 * The replicas that hold agents' streams. Each beats in Postgres; what one that has stopped beating
 * left behind (peers shown as connected) is put right by those that live. Worker threads only.
 *
 * Who has not beaten may not have been able to: Postgres was away, or everybody slept. So the beats
 * of all are watched together (replica_watch), and a silence is held against a replica only when
 * others were heard all the time that it lasted. That is a fact of the database: a replica that
 * has just started may judge by it, and those that die every second together judge as one that
 * lives.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/pg/pg.h"

struct rk_replica_beat {
    bool lived; /* had beaten within the last `lease_s`, so nobody has put anything right behind
                 * its back; false at its first beat */
    int64_t ahead_us; /* the database's clock, of this process's monotonic one, or a little less */
};

/* `name` belongs to one life of one process. */
int rk_replica_beat(struct rk_pg *pg,
                    const char *name,
                    int64_t lease_s,
                    struct rk_replica_beat *out,
                    struct rk_err *err) RK_CHECKED;

/*
 * Peers whose stream is on a replica without a beat for `lease_s`, in which somebody else was heard
 * again and again (never `lease_s`/2 apart), are no longer connected; they were last seen at its
 * last beat, and have the deadlines of that (due.h). Any number of replicas may do it at once. A
 * call does 100,000 peers at most and says how many in *out_peers.
 */
int rk_replica_sweep(struct rk_pg *pg,
                     int64_t lease_s,
                     int64_t ephemeral_s,
                     int64_t *out_peers,
                     struct rk_err *err) RK_CHECKED;
