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
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/fds.h"
#include "libcommon/obs/build.h"
#include "libcommon/obs/log.h"

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

/* A name stands in one run of rows only, or its HELP and TYPE would be printed twice. */
static bool name_is_taken(const char *name)
{
    for (size_t t = 0; t < table_count; t++)
        for (size_t i = 0; i < tables[t].count; i++)
            if (strcmp(tables[t].rows[i].name, name) == 0)
                return true;
    return false;
}

void rk_metrics_register(struct rk_metric *rows, size_t count)
{
    assert(table_count < MAX_TABLES);
    for (size_t t = 0; t < table_count; t++)
        if (tables[t].rows == rows)
            return;
    if (start_s <= 0)
        start_s = (double)rk_wall_us() / 1e6;
    for (size_t i = 0; i < count; i++) {
        size_t values = 0;

        while (rows[i].label && rows[i].values[values])
            values++;
        assert(values <= RK_METRIC_MAX_VALUES);
        assert(!name_is_taken(rows[i].name));
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

/* Text as the format wants it inside a label's quotes, or, without `quotes`, after HELP. */
static void put_escaped(struct rk_buf *out, const char *s, bool quotes)
{
    for (; *s; s++) {
        if (*s == '\n') {
            rk_buf_put_c(out, "\\n");
            continue;
        }
        if (*s == '\\' || (*s == '"' && quotes))
            rk_buf_put_u8(out, '\\');
        rk_buf_put_u8(out, (uint8_t)*s);
    }
}

static void put_label(struct rk_buf *out, const struct rk_metric *m, size_t value)
{
    rk_buf_printf(out, "%s=\"", m->label);
    put_escaped(out, m->values[value], true);
    rk_buf_put_u8(out, '"');
}

static void put_head(struct rk_buf *out, const char *name, const char *type, const char *help)
{
    rk_buf_printf(out, "# HELP %s ", name);
    put_escaped(out, help, false);
    rk_buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

/* One sample of a histogram, whose only label value, if any, goes with each. */
static void
put_sample(struct rk_buf *out, const struct rk_metric *m, const char *suffix, const char *le)
{
    bool labelled = m->label && m->values[0];

    rk_buf_printf(out, "%s%s", m->name, suffix);
    if (labelled || le)
        rk_buf_put_u8(out, '{');
    if (labelled)
        put_label(out, m, 0);
    if (le)
        rk_buf_printf(out, "%sle=\"%s\"", labelled ? "," : "", le);
    if (labelled || le)
        rk_buf_put_u8(out, '}');
}

static void print_histogram(struct rk_buf *out, const struct rk_metric *m)
{
    size_t n = bucket_count(m);
    uint64_t total = 0;
    char bound[32];

    for (size_t i = 0; i <= n; i++) {
        total += atomic_load_explicit(&m->count[i], memory_order_relaxed);
        if (i < n)
            (void)snprintf(bound, sizeof(bound), "%g", m->buckets[i]);
        put_sample(out, m, "_bucket", i < n ? bound : "+Inf");
        rk_buf_printf(out, " %" PRIu64 "\n", total);
    }
    put_sample(out, m, "_sum", NULL);
    rk_buf_printf(out, " %.6f\n",
                  (double)atomic_load_explicit(&m->sum_micro, memory_order_relaxed) / 1e6);
    put_sample(out, m, "_count", NULL);
    rk_buf_printf(out, " %" PRIu64 "\n", total);
}

static void print_row(struct rk_buf *out, const struct rk_metric *m)
{
    if (m->type == RK_HISTOGRAM) {
        print_histogram(out, m);
    } else if (!m->label) {
        rk_buf_printf(out, "%s %" PRId64 "\n", m->name,
                      atomic_load_explicit(&m->v[0], memory_order_relaxed));
    } else {
        for (size_t i = 0; i < RK_METRIC_MAX_VALUES && m->values[i]; i++) {
            rk_buf_printf(out, "%s{", m->name);
            put_label(out, m, i);
            rk_buf_printf(out, "} %" PRId64 "\n",
                          atomic_load_explicit(&m->v[i], memory_order_relaxed));
        }
    }
}

/* Since Linux 6.2 the directory's size is their number; before it is 0, and going through them
 * takes milliseconds for a thousand. */
static unsigned open_fds(void)
{
    struct stat st;
    unsigned n = 0;
    DIR *d;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (unsigned)st.st_size;
    d = opendir("/proc/self/fd");
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
    put_head(out, name, type, help);
    rk_buf_printf(out, "%s %.17g\n", name, v);
}

static void print_build(struct rk_buf *out)
{
    char build[RK_BUILD_LEN + 1];

    rk_build_id(build);
    put_head(out, "rookery_build_info", "gauge", "Always 1: which program this is.");
    rk_buf_printf(out, "rookery_build_info{service=\"%s\",version=\"%s\",build=\"%s\"} 1\n",
                  rk_log_service(), RK_VERSION, build);
}

static void print_process(struct rk_buf *out)
{
    struct rusage u;

    print_build(out);
    (void)getrusage(RUSAGE_SELF, &u);
    gauge(out, "process_cpu_seconds_total", "counter", "User and system CPU time in seconds.",
          (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
              (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
    gauge(out, "process_resident_memory_bytes", "gauge", "Resident memory in bytes.",
          resident_bytes());
    gauge(out, "process_open_fds", "gauge", "Open file descriptors.", open_fds());
    gauge(out, "process_max_fds", "gauge", "File descriptors that the process may have.",
          (double)rk_fds_max());
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
                put_head(out, m->name, types[m->type], m->help);
            last = m->name;
            print_row(out, m);
        }
    }
    print_process(out);
}
