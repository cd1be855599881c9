#pragma once

/* The service's metrics: the names of the stock server behind `rookery_signal_`, so its dashboards
 * need one prefix. */

#include "libcommon/obs/metrics.h"

enum signal_metric {
    SIGNAL_ACTIVE_PEERS,
    SIGNAL_REGISTRATIONS,
    SIGNAL_DEREGISTRATIONS,
    SIGNAL_REGISTRATION_FAILURES, /* missing_id, failed_registration */
    SIGNAL_REGISTRATION_DELAY,
    SIGNAL_CONNECTION_DURATION,
    SIGNAL_FORWARDED,
    SIGNAL_FORWARD_FAILURES, /* enum signal_failure */
    SIGNAL_MESSAGE_SIZE,
    SIGNAL_BUS_MESSAGES, /* sent, received, returned */
    SIGNAL_REDIS_UP,
    SIGNAL_METRICS,
};

enum signal_failure {
    SIGNAL_FAIL_ERROR,
    SIGNAL_FAIL_NOT_CONNECTED,
    SIGNAL_FAIL_TIMEOUT,
    SIGNAL_FAIL_DISCONNECTED,
    SIGNAL_FAIL_OVERFLOW,
};

extern struct rk_metric signal_metrics[SIGNAL_METRICS];

#define signal_count(m) rk_metric_add(&signal_metrics[m], 1)
#define signal_count_at(m, value) rk_metric_add_at(&signal_metrics[m], (value), 1)
