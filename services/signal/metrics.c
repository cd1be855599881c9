#include "services/signal/metrics.h"

#define P "rookery_signal_"

static const double std_ms[] = { 0.1, 0.5, 1, 5, 10, 50, 100, 500, 1000, 5000, 10000, 0 };
static const double duration_s[] = { 1, 60, 600, 3600, 7200, 21600, 43200, 86400, 172800, 0 };
static const double size_bytes[] = { 100,   250,    500,    1000,    5000, 10000,
                                     50000, 100000, 500000, 1000000, 0 };
static const char *const failures[] = { "error",        "not_connected", "timeout",
                                        "disconnected", "overflow",      NULL };
static const char *const reg_failures[] = { "missing_id", "failed_registration", NULL };
static const char *const directions[] = { "sent", "received", "returned", NULL };
static const char *const message[] = { "message", NULL };

struct rk_metric signal_metrics[SIGNAL_METRICS] = {
    [SIGNAL_ACTIVE_PEERS] = { P "active_peers", "Agents registered here.", RK_GAUGE },
    [SIGNAL_REGISTRATIONS] = { P "registrations_total", "Registrations of new keys.", RK_COUNTER },
    [SIGNAL_DEREGISTRATIONS] = { P "deregistrations_total", "Keys that left.", RK_COUNTER },
    [SIGNAL_REGISTRATION_FAILURES] = { P "registration_failures_total", "Refused registrations.",
                                       RK_COUNTER, .label = "error", .values = reg_failures },
    [SIGNAL_REGISTRATION_DELAY] = { P "registration_delay_milliseconds",
                                    "From the call to the response header.", RK_HISTOGRAM,
                                    .buckets = std_ms },
    [SIGNAL_CONNECTION_DURATION] = { P "peer_connection_duration_seconds", "Life of a stream.",
                                     RK_HISTOGRAM, .buckets = duration_s },
    [SIGNAL_FORWARDED] = { P "messages_forwarded_total", "Messages queued to an agent here.",
                           RK_COUNTER },
    [SIGNAL_FORWARD_FAILURES] = { P "message_forward_failures_total",
                                  "Messages dropped, by reason.", RK_COUNTER, .label = "type",
                                  .values = failures },
    [SIGNAL_MESSAGE_SIZE] = { P "message_size_bytes", "Size of a message.", RK_HISTOGRAM,
                              .label = "type", .values = message, .buckets = size_bytes },
    [SIGNAL_BUS_MESSAGES] = { P "bus_messages_total", "Messages that crossed between replicas.",
                              RK_COUNTER, .label = "direction", .values = directions },
    [SIGNAL_REDIS_UP] = { P "redis_up", "1 while other replicas can be reached.", RK_GAUGE },
};
