#include "services/signal/metrics.h"

#define P "rookery_signal_"

static const double wait_s[] = { 1e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 0 };
static const double duration_s[] = { 1, 60, 600, 3600, 7200, 21600, 43200, 86400, 172800, 0 };
static const double size_bytes[] = { 100,   250,    500,    1000,    5000, 10000,
                                     50000, 100000, 500000, 1000000, 0 };
static const char *const failures[] = { "error",        "not_connected", "timeout",
                                        "disconnected", "overflow",      NULL };
static const char *const reg_failures[] = { "missing_id", "failed_registration", "limit", NULL };
static const char *const directions[] = { "sent", "received", "returned", NULL };
static const char *const message[] = { "message", NULL };
static const char *const stream[] = { "stream", NULL };

struct rk_metric signal_metrics[SIGNAL_METRICS] = {
    [SIGNAL_ACTIVE_PEERS] = { .name = P "active_peers",
                              .help = "Agents registered here.",
                              .type = RK_GAUGE },
    [SIGNAL_REGISTRATIONS] = { .name = P "registrations_total",
                               .help = "Registrations of new keys.",
                               .type = RK_COUNTER },
    [SIGNAL_DEREGISTRATIONS] = { .name = P "deregistrations_total",
                                 .help = "Keys that left.",
                                 .type = RK_COUNTER },
    [SIGNAL_REPLACEMENTS] = { .name = P "replacements_total",
                              .help = "Streams ended by a newer registration of their key.",
                              .type = RK_COUNTER },
    [SIGNAL_REGISTRATION_FAILURES] = { .name = P "registration_failures_total",
                                       .help = "Refused registrations.",
                                       .type = RK_COUNTER,
                                       .label = "error",
                                       .values = reg_failures },
    [SIGNAL_REGISTRATION_DELAY] = { .name = P "registration_delay_seconds",
                                    .help = "From the call to the response header.",
                                    .type = RK_HISTOGRAM,
                                    .buckets = wait_s },
    [SIGNAL_REGISTRATIONS_HELD] = { .name = P "registrations_held_total",
                                    .help = "Registrations delayed because two agents contend "
                                            "for one key.",
                                    .type = RK_COUNTER },
    [SIGNAL_CONNECTION_DURATION] = { .name = P "peer_connection_duration_seconds",
                                     .help = "Life of a stream.",
                                     .type = RK_HISTOGRAM,
                                     .buckets = duration_s },
    [SIGNAL_FORWARDED] = { .name = P "messages_forwarded_total",
                           .help = "Messages queued to an agent here.",
                           .type = RK_COUNTER },
    [SIGNAL_FORWARDED_BYTES] = { .name = P "forwarded_bytes_total",
                                 .help = "Bytes of messages queued to an agent here.",
                                 .type = RK_COUNTER },
    [SIGNAL_FORWARD_FAILURES] = { .name = P "message_forward_failures_total",
                                  .help = "Messages dropped, by reason.",
                                  .type = RK_COUNTER,
                                  .label = "type",
                                  .values = failures },
    [SIGNAL_FORWARD_LATENCY] = { .name = P "message_forward_latency_seconds",
                                 .help = "From a message's arrival to its agent's connection.",
                                 .type = RK_HISTOGRAM,
                                 .label = "type",
                                 .values = stream,
                                 .buckets = wait_s },
    [SIGNAL_MESSAGE_SIZE] = { .name = P "message_size_bytes",
                              .help = "Size of a message.",
                              .type = RK_HISTOGRAM,
                              .label = "type",
                              .values = message,
                              .buckets = size_bytes },
    [SIGNAL_MALFORMED] = { .name = P "messages_malformed_total",
                           .help = "Messages refused because no agent could read them.",
                           .type = RK_COUNTER },
    [SIGNAL_QUEUED_BYTES] = { .name = P "queued_bytes",
                              .help = "Bytes of messages that wait for their agent or for Redis.",
                              .type = RK_GAUGE },
    [SIGNAL_CONNECTIONS] = { .name = P "connections",
                             .help = "Open HTTP/2 connections.",
                             .type = RK_GAUGE },
    [SIGNAL_BUS_MESSAGES] = { .name = P "bus_messages_total",
                              .help = "Messages that crossed between replicas.",
                              .type = RK_COUNTER,
                              .label = "direction",
                              .values = directions },
    [SIGNAL_REDIS_UP] = { .name = P "redis_up",
                          .help = "1 while other replicas can be reached.",
                          .type = RK_GAUGE },
};

struct rk_grpc_tunnels signal_tunnels = { .path = "/ws-proxy/signal",
                                          .metrics = RK_GRPC_TUNNEL_ROWS(P) };
