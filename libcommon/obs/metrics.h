#pragma once

/*
 * Metrics: a table of rows a service, counted with relaxed atomics, printed in the Prometheus text
 * format. Rows with one label list its values in the table, so the set is fixed at start. Any
 * thread.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "libcommon/base/buf.h"

enum rk_metric_type {
    RK_COUNTER,
    RK_GAUGE,
    RK_HISTOGRAM,
};

#define RK_METRIC_MAX_BUCKETS 16
#define RK_METRIC_MAX_VALUES 32

struct rk_metric {
    const char *name; /* "rookery_signal_messages_forwarded_total" */
    const char *help;
    enum rk_metric_type type;
    const char *label;         /* NULL: no label */
    const char *const *values; /* label values, NULL-terminated, at most RK_METRIC_MAX_VALUES */
    const double *buckets;     /* RK_HISTOGRAM: upper bounds, ascending, ends with 0; at most
                                  RK_METRIC_MAX_BUCKETS */
    /* below: filled by the library */
    _Atomic int64_t v[RK_METRIC_MAX_VALUES];
    _Atomic uint64_t count[RK_METRIC_MAX_BUCKETS + 1];
    _Atomic uint64_t sum_micro; /* sum of observations times 1e6 */
};

/* Registers rows (static storage); once for the same rows. A name belongs to one table, its rows
 * beside each other. Start-up only. */
void rk_metrics_register(struct rk_metric *rows, size_t count);
void rk_metrics_print(struct rk_buf *out); /* also rookery_build_info, and process_*: cpu seconds,
                                              resident bytes, open and max fds, start
                                              time */

static inline void rk_metric_add(struct rk_metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&m->v[0], n, memory_order_relaxed);
}
static inline void rk_metric_add_at(struct rk_metric *m, unsigned value, int64_t n)
{
    atomic_fetch_add_explicit(&m->v[value], n, memory_order_relaxed);
}
static inline void rk_metric_set(struct rk_metric *m, int64_t n)
{
    atomic_store_explicit(&m->v[0], n, memory_order_relaxed);
}
static inline void rk_metric_set_at(struct rk_metric *m, unsigned value, int64_t n)
{
    atomic_store_explicit(&m->v[value], n, memory_order_relaxed);
}
void rk_metric_observe(struct rk_metric *m, double v);
