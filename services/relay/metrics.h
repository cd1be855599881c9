#pragma once

/*
 * Metrics. What the data path counts is kept per loop, written by that loop alone, and added up
 * when /metrics is read.
 */

#include <stdatomic.h>
#include <stdint.h>

enum relay_count {
    COUNT_SENT_BYTES,     /* TRANSPORT messages to receivers, whole length */
    COUNT_RECEIVED_BYTES, /* TRANSPORT messages from senders */
    COUNT_SENT_MESSAGES,
    COUNT_RECEIVED_MESSAGES,
    COUNT_DROP_ABSENT, /* nobody has that ID */
    COUNT_DROP_QUEUE,  /* the receiver's queue was full */
    COUNT_DROP_TOTAL,  /* all queues of the receiver's loop together were */
    COUNT_DROP_RING,   /* the way to the receiver's loop was full */
    COUNT_RECONNECTIONS,
    COUNT_AUTH_FAILED,
    COUNT_REFUSED, /* over max_connections */
    COUNT_CLOSED_SLOW,
    COUNT_CLOSED_HEALTH,
    COUNT_CLOSED_PROTOCOL, /* broke a rule after its AUTH */
    COUNT_CLOSED_SILENT,   /* no handshake, upgrade or AUTH in time */
    COUNT_PEERS,           /* from here on gauges */
    COUNT_PEERS_IDLE,
    COUNT_CONNECTIONS,
    COUNT_SUBSCRIPTIONS,
    COUNT_QUEUED_BYTES,
    COUNT_END,
};

struct relay_counts {
    _Atomic int64_t v[COUNT_END];
};

/* Owner loop only: no other writer, so no locked instruction. */
static inline void count_add(struct relay_counts *c, enum relay_count what, int64_t n)
{
    atomic_store_explicit(&c->v[what], atomic_load_explicit(&c->v[what], memory_order_relaxed) + n,
                          memory_order_relaxed);
}
static inline int64_t count_get(const struct relay_counts *c, enum relay_count what)
{
    return atomic_load_explicit(&c->v[what], memory_order_relaxed);
}
static inline void count_set(struct relay_counts *c, enum relay_count what, int64_t n)
{
    atomic_store_explicit(&c->v[what], n, memory_order_relaxed);
}

void relay_metrics_register(void);                     /* once, at start */
void relay_metrics_set(const int64_t sums[COUNT_END]); /* before printing */
void relay_metrics_authenticated(double ms);           /* any thread */
void relay_metrics_stored(double ms);                  /* any thread */
