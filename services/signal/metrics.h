#pragma once

/* The service's metrics: the names of the stock server behind `rookery_signal_`, so its dashboards
 * need one prefix. */

#include "libcommon/grpc/server.h"
#include "libcommon/obs/metrics.h"

enum signal_metric {
    SIGNAL_ACTIVE_PEERS,
    SIGNAL_REGISTRATIONS,
    SIGNAL_DEREGISTRATIONS,
    SIGNAL_REPLACEMENTS,
    SIGNAL_REGISTRATION_FAILURES, /* enum signal_refusal */
    SIGNAL_REGISTRATION_DELAY,
    SIGNAL_REGISTRATIONS_HELD,
    SIGNAL_CONNECTION_DURATION,
    SIGNAL_FORWARDED,
    SIGNAL_FORWARDED_BYTES,
    SIGNAL_FORWARD_FAILURES, /* enum signal_failure */
    SIGNAL_FORWARD_LATENCY,
    SIGNAL_MESSAGE_SIZE,
    SIGNAL_MALFORMED,
    SIGNAL_QUEUED_BYTES,
    SIGNAL_CONNECTIONS,
    SIGNAL_BUS_MESSAGES, /* sent, received, returned */
    SIGNAL_REDIS_UP,
    SIGNAL_METRICS,
};

enum signal_refusal {
    SIGNAL_REFUSED_MISSING_ID,
    SIGNAL_REFUSED_OLDER, /* a newer registration of the key holds */
    SIGNAL_REFUSED_LIMIT, /* max_streams */
};

enum signal_failure {
    SIGNAL_FAIL_ERROR,
    SIGNAL_FAIL_NOT_CONNECTED,
    SIGNAL_FAIL_TIMEOUT,
    SIGNAL_FAIL_DISCONNECTED,
    SIGNAL_FAIL_OVERFLOW,
};

extern struct rk_metric signal_metrics[SIGNAL_METRICS];
extern struct rk_grpc_tunnels signal_tunnels;

#define signal_count(m) rk_metric_add(&signal_metrics[m], 1)
#define signal_count_at(m, value) rk_metric_add_at(&signal_metrics[m], (value), 1)
