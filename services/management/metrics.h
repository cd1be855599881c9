#pragma once

/* Metrics of management. Rows are incremented where the thing happens. Any thread. */

#include "libcommon/grpc/server.h"
#include "libcommon/obs/metrics.h"

enum metric {
    METRIC_SYNC_STREAMS,
    METRIC_ACCOUNTS_LOADED,
    METRIC_KNOWN_PEERS,
    METRIC_LOGINS,
    METRIC_REGISTRATIONS,
    METRIC_SYNCS,
    METRIC_MAPS_SENT,
    METRIC_MAP_BYTES,
    METRIC_MAPS_MERGED,
    METRIC_LOADS,
    METRIC_LOADS_FAILED,
    METRIC_SWEEP_FOUND,
    METRIC_JOBS_QUEUED,
    METRIC_REDIS_UP,
    METRIC_BEHIND,
    METRIC_CONNECTIONS,
    METRIC_PRESENCE_SWEPT,
    METRIC_CHANGES_PRUNED,
    METRIC_UPKEEP_FAILED,
    METRIC_MAPS_SKIPPED,
    METRIC_JOBS_SENT,
    METRIC_DUE,      /* by enum rk_due_kind */
    METRIC_DUE_LATE, /* s */
    METRIC_DUE_FAILED,
    METRIC_EDGES,  /* by enum edge_state */
    METRIC_RELAYS, /* of these; likewise */
    METRIC_EDGE_LISTS_SENT,
    METRIC_PROPAGATION, /* COMMIT to the last stream written, s */
    METRIC_COMPILE,     /* compile and seal of one map, s */
    METRIC_COUNT,
};

extern struct rk_metric metrics[METRIC_COUNT];
extern struct rk_grpc_tunnels tunnels;

static inline void metric_add(enum metric m, int64_t n)
{
    rk_metric_add(&metrics[m], n);
}
