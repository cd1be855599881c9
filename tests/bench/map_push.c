// links: management
/*
 * What a change costs management: `map_push PEERS POSTGRES [THREADS]` loads the account that `map`
 * has made there, opens a stream for each peer, without sockets (tests/support/streams.h), and
 * measures from the change, as a store would read it, until every map of it is queued on its
 * stream: next snapshot, whom it concerns, and the service's own rounds, makers and streams.
 *
 *   queued_ms, queued_cpu_ms    a change for everybody, by the clock and CPU of all threads; nobody
 *                               reads, so that in the end all sealed maps are in memory at once
 *   read_ms, read_cpu_ms        the same with agents that read at once
 *   one_queued_ms, one_queued_cpu_ms    a change for one
 *
 * Medians of nine. Prints "PEERS/NAME value".
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "libcommon/account/store/store.h"
#include "libcommon/base/clock.h"
#include "tests/bench/lib/big_account.h"
#include "tests/bench/lib/big_change.h"
#include "tests/bench/lib/report.h"
#include "tests/support/streams.h"

enum {
    ROUNDS = 9
};

static struct rk_snapshot *load(const char *conninfo)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = rk_pg_new(conninfo, "bench");
    struct rk_snapshot *s;
    struct rk_delta *d;
    struct rk_err err;

    if (rk_store_load(pg, BIG_ACCOUNT_ID, 0, "bench.test", &d, &err) < 0)
        bench_die("loading: %s", err.msg);
    s = rk_snapshot_apply(NULL, d);
    rk_delta_free(d);
    return s;
}

static double cpu_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct cost {
    double wall_ms[ROUNDS], cpu_ms[ROUNDS];
};

static int order(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void say(const struct streams *t, const char *name, struct cost *c)
{
    char full[64];

    qsort(c->wall_ms, ROUNDS, sizeof(double), order);
    qsort(c->cpu_ms, ROUNDS, sizeof(double), order);
    (void)snprintf(full, sizeof(full), "%zu/%s_ms", t->n, name);
    bench_value(full, c->wall_ms[ROUNDS / 2]);
    (void)snprintf(full, sizeof(full), "%zu/%s_cpu_ms", t->n, name);
    bench_value(full, c->cpu_ms[ROUNDS / 2]);
}

static void push(struct streams *t, struct rk_delta *d, size_t concerned, struct cost *c, int round)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *next = NULL;
    rk_auto(rk_bitmap_done) struct rk_bitmap hit;
    int64_t before = atomic_load(&metrics[METRIC_MAPS_SENT].v[0]);
    double wall = (double)rk_mono_ns() / 1e6, cpu = cpu_ms();

    rk_bitmap_init(&hit);
    next = rk_snapshot_apply(t->hub->snap, d);
    rk_snapshot_affected(t->hub->snap, next, &hit);
    streams_change(t, next, &hit, rk_wall_us());
    streams_run(t);
    c->wall_ms[round] = (double)rk_mono_ns() / 1e6 - wall;
    c->cpu_ms[round] = cpu_ms() - cpu;
    if (rk_bitmap_count(&hit) != concerned ||
        atomic_load(&metrics[METRIC_MAPS_SENT].v[0]) - before != (int64_t)concerned)
        bench_die("a change for %zu was not told to all of them, or others too", concerned);
    rk_delta_free(d);
}

static void shut(struct streams *t, bool yes)
{
    for (size_t i = 0; i < t->n; i++)
        stream_shut(&t->v[i], yes);
    streams_run(t);
}

static void everybody(struct streams *t, const char *name, bool reads)
{
    static const char *const ports[] = { "8443", "8444" };
    struct cost c;

    for (int i = -1; i < ROUNDS; i++) { /* the first is not counted */
        shut(t, !reads);
        push(t, big_change_wide(t->hub->snap, ports[i & 1]), t->n, &c, i < 0 ? 0 : i);
        for (size_t k = 0; k < t->n; k++)
            if ((rk_grpc_queued(t->v[k].call) > 0) == reads)
                bench_die("stream %zu has not what it should", k);
        shut(t, false);
    }
    say(t, name, &c);
}

static void one(struct streams *t)
{
    struct cost c;

    for (int i = 0; i < ROUNDS; i++)
        push(t, big_change_one(t->hub->snap), 1, &c, i);
    say(t, "one_queued", &c);
}

int main(int argc, char **argv)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    struct streams t;

    if (argc < 3 || argc > 4)
        bench_die("usage: map_push PEERS POSTGRES [THREADS]");
    rk_crypto_init();
    rk_metrics_register(metrics, METRIC_COUNT);
    s = load(argv[2]);
    if (rk_snapshot_peers(s) != bench_number(argv[1], 100, 60000))
        bench_die("%zu peers are there, not %s", rk_snapshot_peers(s), argv[1]);
    streams_open(&t, s, argc > 3 ? (unsigned)bench_number(argv[3], 1, 64) : 0, MAKERS_BATCH_BYTES);
    everybody(&t, "queued", false);
    everybody(&t, "read", true);
    one(&t);
    streams_close(&t);
    return 0;
}
