#include "services/relay/metrics.h"

#include "libcommon/base/attr.h"
#include "libcommon/obs/metrics.h"

static const double time_buckets[] = { 0.1, 0.25, 0.5, 1,   2.5,  5,    10, 25,
                                       50,  100,  250, 500, 1000, 5000, 0 };
static const char *const transports[] = { "ws", "quic", NULL };
static const char *const drops[] = { "absent", "queue", "ring", "total", NULL };
static const char *const closes[] = { "slow", "health", "protocol", "silent", NULL };

enum row {
    ROW_SENT,
    ROW_RECEIVED,
    ROW_PEERS,
    ROW_ACTIVE,
    ROW_IDLE,
    ROW_AUTH_TIME,
    ROW_STORE_TIME,
    ROW_RECONNECTIONS,
    ROW_RECEIVED_MESSAGES,
    ROW_FORWARDED,
    ROW_DROPPED,
    ROW_AUTH_FAILED,
    ROW_REFUSED,
    ROW_CLOSED,
    ROW_CONNECTIONS,
    ROW_SUBSCRIPTIONS,
    ROW_QUEUED,
    ROW_END,
};

static struct rk_metric rows[ROW_END] = {
    [ROW_SENT] = { .name = "relay_transfer_sent_bytes_total",
                   .help = "Bytes of TRANSPORT messages queued for receivers",
                   .type = RK_COUNTER },
    [ROW_RECEIVED] = { .name = "relay_transfer_received_bytes_total",
                       .help = "Bytes of TRANSPORT messages received",
                       .type = RK_COUNTER },
    [ROW_PEERS] = { .name = "relay_peers",
                    .help = "Authenticated peers",
                    .type = RK_GAUGE,
                    .label = "transport",
                    .values = transports },
    [ROW_ACTIVE] = { .name = "relay_peers_active",
                     .help = "Peers that sent a TRANSPORT within 30 s",
                     .type = RK_GAUGE },
    [ROW_IDLE] = { .name = "relay_peers_idle",
                   .help = "Peers that sent no TRANSPORT for 30 s",
                   .type = RK_GAUGE },
    [ROW_AUTH_TIME] = { .name = "relay_peer_authentication_time_milliseconds",
                        .help = "From accept to a valid AUTH",
                        .type = RK_HISTOGRAM,
                        .buckets = time_buckets },
    [ROW_STORE_TIME] = { .name = "relay_peer_store_time_milliseconds",
                         .help = "From a valid AUTH until addressable",
                         .type = RK_HISTOGRAM,
                         .buckets = time_buckets },
    [ROW_RECONNECTIONS] = { .name = "relay_peer_reconnections_total",
                            .help = "Connections replaced by a newer one of the same peer",
                            .type = RK_COUNTER },
    [ROW_RECEIVED_MESSAGES] = { .name = "rookery_relay_messages_received_total",
                                .help = "TRANSPORT messages received",
                                .type = RK_COUNTER },
    [ROW_FORWARDED] = { .name = "rookery_relay_messages_forwarded_total",
                        .help = "TRANSPORT messages queued for receivers",
                        .type = RK_COUNTER },
    [ROW_DROPPED] = { .name = "rookery_relay_messages_dropped_total",
                      .help = "TRANSPORT messages dropped: receiver absent, its queue full, the "
                              "way to its loop full, all queues together full",
                      .type = RK_COUNTER,
                      .label = "reason",
                      .values = drops },
    [ROW_AUTH_FAILED] = { .name = "rookery_relay_auth_failed_total",
                          .help = "Connections closed for a bad first message or token",
                          .type = RK_COUNTER },
    [ROW_REFUSED] = { .name = "rookery_relay_connections_refused_total",
                      .help = "Connections over max_connections",
                      .type = RK_COUNTER },
    [ROW_CLOSED] = { .name = "rookery_relay_connections_closed_total",
                     .help = "Connections closed: no write progress for 10 s or no room for a "
                             "control message, no health check answer, a forbidden message, no "
                             "AUTH in time",
                     .type = RK_COUNTER,
                     .label = "reason",
                     .values = closes },
    [ROW_CONNECTIONS] = { .name = "rookery_relay_connections",
                          .help = "Open connections, authenticated or not",
                          .type = RK_GAUGE },
    [ROW_SUBSCRIPTIONS] = { .name = "rookery_relay_subscriptions",
                            .help = "Peer IDs that connected peers want to hear about",
                            .type = RK_GAUGE },
    [ROW_QUEUED] = { .name = "rookery_relay_queued_bytes",
                     .help = "Bytes that wait for receivers",
                     .type = RK_GAUGE },
};

void relay_metrics_register(void)
{
    rk_metrics_register(rows, RK_COUNT(rows));
}

static void set_at(enum row row, unsigned value, int64_t n)
{
    atomic_store_explicit(&rows[row].v[value], n, memory_order_relaxed);
}

void relay_metrics_set(const int64_t s[COUNT_END])
{
    set_at(ROW_SENT, 0, s[COUNT_SENT_BYTES]);
    set_at(ROW_RECEIVED, 0, s[COUNT_RECEIVED_BYTES]);
    set_at(ROW_PEERS, 0, s[COUNT_PEERS]);
    set_at(ROW_ACTIVE, 0, s[COUNT_PEERS] - s[COUNT_PEERS_IDLE]);
    set_at(ROW_IDLE, 0, s[COUNT_PEERS_IDLE]);
    set_at(ROW_RECONNECTIONS, 0, s[COUNT_RECONNECTIONS]);
    set_at(ROW_RECEIVED_MESSAGES, 0, s[COUNT_RECEIVED_MESSAGES]);
    set_at(ROW_FORWARDED, 0, s[COUNT_SENT_MESSAGES]);
    set_at(ROW_DROPPED, 0, s[COUNT_DROP_ABSENT]);
    set_at(ROW_DROPPED, 1, s[COUNT_DROP_QUEUE]);
    set_at(ROW_DROPPED, 2, s[COUNT_DROP_RING]);
    set_at(ROW_DROPPED, 3, s[COUNT_DROP_TOTAL]);
    set_at(ROW_AUTH_FAILED, 0, s[COUNT_AUTH_FAILED]);
    set_at(ROW_REFUSED, 0, s[COUNT_REFUSED]);
    set_at(ROW_CLOSED, 0, s[COUNT_CLOSED_SLOW]);
    set_at(ROW_CLOSED, 1, s[COUNT_CLOSED_HEALTH]);
    set_at(ROW_CLOSED, 2, s[COUNT_CLOSED_PROTOCOL]);
    set_at(ROW_CLOSED, 3, s[COUNT_CLOSED_SILENT]);
    set_at(ROW_SUBSCRIPTIONS, 0, s[COUNT_SUBSCRIPTIONS]);
    set_at(ROW_QUEUED, 0, s[COUNT_QUEUED_BYTES]);
    set_at(ROW_CONNECTIONS, 0, s[COUNT_CONNECTIONS]);
}

void relay_metrics_authenticated(double ms)
{
    rk_metric_observe(&rows[ROW_AUTH_TIME], ms);
}

void relay_metrics_stored(double ms)
{
    rk_metric_observe(&rows[ROW_STORE_TIME], ms);
}
