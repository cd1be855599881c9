#include "libcommon/obs/metrics.h"

/* Tables are registered once; printing walks them. Neighbouring rows of one name share their HELP
 * and TYPE lines. */

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "libcommon/base/clock.h"

#define MAX_TABLES 32

static struct {
    struct rk_metric *rows;
    size_t count;
} tables[MAX_TABLES];
static size_t table_count;
static double start_s;

static size_t bucket_count(const struct rk_metric *m)
{
    size_t n = 0;

    while (n < RK_METRIC_MAX_BUCKETS && m->buckets[n] > 0)
        n++;
    return n;
}

void rk_metrics_register(struct rk_metric *rows, size_t count)
{
    assert(table_count < MAX_TABLES);
    if (start_s <= 0)
        start_s = (double)rk_wall_us() / 1e6;
    for (size_t i = 0; i < count; i++) {
        size_t values = 0;

        while (rows[i].label && rows[i].values[values])
            values++;
        assert(values <= RK_METRIC_MAX_VALUES);
        /* A histogram has room for one series. */
        assert(rows[i].type != RK_HISTOGRAM || (rows[i].buckets && values <= 1));
    }
    tables[table_count].rows = rows;
    tables[table_count++].count = count;
}

void rk_metric_observe(struct rk_metric *m, double v)
{
    size_t n = bucket_count(m), i = 0;

    while (i < n && v > m->buckets[i])
        i++;
    atomic_fetch_add_explicit(&m->count[i], 1, memory_order_relaxed);
    if (v > 0)
        atomic_fetch_add_explicit(&m->sum_micro, (uint64_t)(v * 1e6), memory_order_relaxed);
}

static void print_histogram(struct rk_buf *out, const struct rk_metric *m)
{
    size_t n = bucket_count(m);
    uint64_t total = 0;
    char label[128] = "", braced[130] = "";

    if (m->label && m->values[0]) {
        (void)snprintf(label, sizeof(label), "%s=\"%s\",", m->label, m->values[0]);
        (void)snprintf(braced, sizeof(braced), "{%.*s}", (int)strlen(label) - 1, label);
    }
    for (size_t i = 0; i < n; i++) {
        total += atomic_load_explicit(&m->count[i], memory_order_relaxed);
        rk_buf_printf(out, "%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", m->name, label, m->buckets[i],
                      total);
    }
    total += atomic_load_explicit(&m->count[n], memory_order_relaxed);
    rk_buf_printf(out, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", m->name, label, total);
    rk_buf_printf(out, "%s_sum%s %.6f\n", m->name, braced,
                  (double)atomic_load_explicit(&m->sum_micro, memory_order_relaxed) / 1e6);
    rk_buf_printf(out, "%s_count%s %" PRIu64 "\n", m->name, braced, total);
}

static void print_row(struct rk_buf *out, const struct rk_metric *m)
{
    if (m->type == RK_HISTOGRAM) {
        print_histogram(out, m);
    } else if (!m->label) {
        rk_buf_printf(out, "%s %" PRId64 "\n", m->name,
                      atomic_load_explicit(&m->v[0], memory_order_relaxed));
    } else {
        for (size_t i = 0; i < RK_METRIC_MAX_VALUES && m->values[i]; i++)
            rk_buf_printf(out, "%s{%s=\"%s\"} %" PRId64 "\n", m->name, m->label, m->values[i],
                          atomic_load_explicit(&m->v[i], memory_order_relaxed));
    }
}

static unsigned open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    if (!d)
        return 0;
    while (readdir(d))
        n++;
    (void)closedir(d);
    return n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

static double resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f)
        return 0;
    if (fscanf(f, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    (void)fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void
gauge(struct rk_buf *out, const char *name, const char *type, const char *help, double v)
{
    rk_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name, v);
}

static void print_process(struct rk_buf *out)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    gauge(out, "process_cpu_seconds_total", "counter", "User and system CPU time in seconds.",
          (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
              (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    gauge(out, "process_resident_memory_bytes", "gauge", "Resident memory in bytes.",
          resident_bytes());
    gauge(out, "process_open_fds", "gauge", "Open file descriptors.", open_fds());
    gauge(out, "process_start_time_seconds", "gauge", "Start of the process, seconds since 1970.",
          start_s);
}

void rk_metrics_print(struct rk_buf *out)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    const char *last = "";

    for (size_t t = 0; t < table_count; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            const struct rk_metric *m = &tables[t].rows[i];

            if (strcmp(last, m->name) != 0)
                rk_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
                              types[m->type]);
            last = m->name;
            print_row(out, m);
        }
    }
    print_process(out);
}
