/* The metric rows of management. */

#include "services/management/metrics.h"

static const double seconds[] = { 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                  0.5,   1,     2.5,  5,     10,   30,  0 };
static const double small[] = {
    0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0
};

static const char *const due_kinds[] = { "ephemeral", "login", "inactivity", "job", NULL };
static const char *const edge_states[] = { "fit", "crowded", "out", NULL };
static const double lateness[] = { 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60, 0 };

#define ROW(name_, type_, help_)                                                                   \
    {                                                                                              \
        .name = "rookery_management_" name_, .type = type_, .help = help_                          \
    }

struct rk_metric metrics[METRIC_COUNT] = {
    [METRIC_SYNC_STREAMS] = ROW("sync_streams", RK_GAUGE, "Sync streams open on this replica"),
    [METRIC_ACCOUNTS_LOADED] = ROW("accounts_loaded", RK_GAUGE, "accounts held in memory"),
    [METRIC_KNOWN_PEERS] =
        ROW("known_peers", RK_GAUGE, "peers of those accounts that have called this replica"),
    [METRIC_LOGINS] = ROW("logins_total", RK_COUNTER, "Login calls answered with success"),
    [METRIC_REGISTRATIONS] = ROW("registrations_total", RK_COUNTER, "peers registered"),
    [METRIC_SYNCS] = ROW("syncs_total", RK_COUNTER, "Sync streams that got their first map"),
    [METRIC_MAPS_SENT] = ROW("maps_sent_total", RK_COUNTER, "network maps written to streams"),
    [METRIC_MAP_BYTES] = ROW("map_bytes_total", RK_COUNTER, "bytes of those maps before sealing"),
    [METRIC_MAPS_MERGED] = ROW(
        "maps_merged_total", RK_COUNTER, "changes that found their peer waiting for a map already"),
    [METRIC_LOADS] = ROW("loads_total", RK_COUNTER, "reads of changes from Postgres"),
    [METRIC_LOADS_FAILED] =
        ROW("loads_failed_total", RK_COUNTER, "reads that failed; the last good snapshot stayed"),
    [METRIC_SWEEP_FOUND] =
        ROW("sweep_found_total", RK_COUNTER, "changes found by the sweep and not by the doorbell"),
    [METRIC_JOBS_QUEUED] = ROW("jobs_queued", RK_GAUGE, "jobs waiting for a worker"),
    [METRIC_REDIS_UP] = ROW("redis_up", RK_GAUGE, "1 while the doorbell works"),
    [METRIC_BEHIND] = ROW("behind_seconds",
                          RK_GAUGE,
                          "how long the account that has waited longest has been known to be newer "
                          "in Postgres than here"),
    [METRIC_CONNECTIONS] = ROW("connections", RK_GAUGE, "HTTP/2 connections"),
    [METRIC_PRESENCE_SWEPT] =
        ROW("presence_swept_total", RK_COUNTER, "peers found connected to replicas that are gone"),
    [METRIC_CHANGES_PRUNED] =
        ROW("changes_pruned_total", RK_COUNTER, "old rows deleted from the log of changes"),
    [METRIC_UPKEEP_FAILED] =
        ROW("upkeep_failed_total", RK_COUNTER, "rounds of upkeep that Postgres did not carry out"),
    [METRIC_MAPS_SKIPPED] =
        ROW("maps_skipped_total", RK_COUNTER, "maps that came out as their peer has them already"),
    [METRIC_JOBS_SENT] = ROW("jobs_sent_total", RK_COUNTER, "jobs that agents were told"),
    [METRIC_DUE] = { .name = "rookery_management_due_total",
                     .type = RK_COUNTER,
                     .help = "deadlines that this replica acted on",
                     .label = "kind",
                     .values = due_kinds },
    [METRIC_DUE_LATE] = { .name = "rookery_management_due_late_seconds",
                          .type = RK_HISTOGRAM,
                          .help = "from a deadline to the COMMIT of what it brings",
                          .buckets = lateness },
    [METRIC_DUE_FAILED] =
        ROW("due_failed_total", RK_COUNTER, "looks at deadlines that Postgres did not answer"),
    [METRIC_EDGES] = { .name = "rookery_management_edges",
                       .type = RK_GAUGE,
                       .help = "relays and STUN servers that have registered",
                       .label = "state",
                       .values = edge_states },
    [METRIC_RELAYS] = { .name = "rookery_management_relays",
                        .type = RK_GAUGE,
                        .help = "relays that have registered",
                        .label = "state",
                        .values = edge_states },
    [METRIC_EDGE_LISTS_SENT] =
        ROW("edge_lists_sent_total",
            RK_COUNTER,
            "agents that were told other lists of relays and STUN servers than they had"),
    [METRIC_PROPAGATION] = { .name = "rookery_management_propagation_seconds",
                             .type = RK_HISTOGRAM,
                             .help = "from COMMIT of a change to the last stream written",
                             .buckets = seconds },
    [METRIC_COMPILE] = { .name = "rookery_management_compile_seconds",
                         .type = RK_HISTOGRAM,
                         .help = "compiling and sealing one network map",
                         .buckets = small },
};

struct rk_grpc_tunnels tunnels = { .path = "/ws-proxy/management",
                                   .metrics = RK_GRPC_TUNNEL_ROWS("rookery_management_") };
