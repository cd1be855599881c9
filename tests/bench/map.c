/*
 * What a map costs: `map PEERS POSTGRES` makes the account of lib/big_account.h in that database,
 * loads it as management does, and measures on it, without a service around:
 *
 *   load_ms        rk_store_load of the whole account and its first snapshot, by the clock
 *   peer_bytes     heap that the snapshot holds, a peer
 *   map_us         a peer's map compiled, CPU, the mean over all sorts of peers; map_bytes,
 * map_peers wide_us        the same for a peer that sees all others change_KIND_us the next
 * snapshot after one change and whom it concerns, CPU: a peer's version, a peer into another team,
 * a policy's port, a peer that joins one_ms         a change that concerns one peer, until its map
 * is sealed, CPU all_ms         one that concerns everybody, until all maps are compiled
 * (all_sealed_ms: and sealed), on one thread, CPU
 *
 * Medians of nine; a map of an account over 5,000 peers is compiled for 5,000 of them, and all_ms
 * is that times how many more there are. Prints "PEERS/NAME value".
 */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libcommon/account/compile/compile.h"
#include "libcommon/account/store/store.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/crypto/box.h"
#include "tests/bench/lib/big_account.h"
#include "tests/bench/lib/big_change.h"
#include "tests/bench/lib/report.h"

enum {
    ROUNDS = 9,
    SAMPLE = 5000, /* maps of one measurement, at most */
    MAP_MAX = 256 << 20
};

struct bench {
    unsigned peers;
    struct rk_snapshot *s;
    struct rk_buf map;
    struct rk_box box; /* one for all, which costs the same */
};

static double cpu_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int order(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), order);
    return v[n / 2];
}

static void say(const struct bench *b, const char *name, double value)
{
    char full[64];

    (void)snprintf(full, sizeof(full), "%u/%s", b->peers, name);
    bench_value(full, value);
}

static size_t heap(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

static void load(struct bench *b, const char *conninfo)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = rk_pg_new(conninfo, "bench");
    struct rk_err err = { 0 };
    double ms[3];

    if (rk_store_migrate(pg, &err) < 0)
        bench_die("migrating: %s", err.msg);
    big_account_make(pg, b->peers);
    for (size_t i = 0; i < RK_COUNT(ms); i++) {
        struct rk_delta *d = NULL;
        size_t before = heap();
        uint64_t t = rk_mono_ns();

        rk_snapshot_unref(b->s);
        before = heap();
        if (rk_store_load(pg, BIG_ACCOUNT_ID, 0, "bench.test", &d, &err) < 0)
            bench_die("loading: %s", err.msg);
        b->s = rk_snapshot_apply(NULL, d);
        ms[i] = (double)(rk_mono_ns() - t) / 1e6;
        rk_delta_free(d);
        if (i + 1 == RK_COUNT(ms))
            say(b, "peer_bytes", (double)(heap() - before) / b->peers);
    }
    if (rk_snapshot_peers(b->s) != b->peers)
        bench_die("%zu peers of %u", rk_snapshot_peers(b->s), b->peers);
    say(b, "load_ms", median(ms, RK_COUNT(ms)));
}

static void compile(struct bench *b, const struct rk_snapshot *s, size_t index)
{
    rk_buf_clear(&b->map);
    rk_compile_map(s, index, 0, &b->map);
    if (b->map.overflow)
        bench_die("a map over %d bytes", MAP_MAX);
}

static void maps(struct bench *b)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap seen;
    unsigned n = b->peers < SAMPLE ? b->peers : SAMPLE, step = b->peers / n;
    double typical[ROUNDS], wide[ROUNDS], bytes = 0, visible = 0;

    rk_bitmap_init(&seen);
    for (unsigned k = 0; k < n; k++) {
        rk_bitmap_clear(&seen);
        rk_snapshot_visible(b->s, big_account_index(b->s, 1 + k * step), &seen);
        visible += (double)rk_bitmap_count(&seen);
    }
    for (int i = 0; i < ROUNDS; i++) {
        double t = cpu_us();

        bytes = 0;
        for (unsigned k = 0; k < n; k++) {
            compile(b, b->s, big_account_index(b->s, 1 + k * step));
            bytes += (double)b->map.n;
        }
        typical[i] = (cpu_us() - t) / n;
        t = cpu_us();
        compile(b, b->s, big_account_index(b->s, 1));
        wide[i] = cpu_us() - t;
    }
    say(b, "map_us", median(typical, ROUNDS));
    say(b, "map_bytes", bytes / n);
    say(b, "map_peers", visible / n);
    compile(b, b->s, big_account_index(b->s, 1));
    say(b, "wide_us", median(wide, ROUNDS));
    say(b, "wide_bytes", (double)b->map.n);
}

typedef struct rk_delta *change_fn(const struct rk_snapshot *s);

static void applied(struct bench *b, const char *name, change_fn *make)
{
    double us[ROUNDS];
    char full[48];
    size_t hit_n = 0;

    for (int i = 0; i < ROUNDS; i++) {
        rk_auto(rk_delta_free) struct rk_delta *d = make(b->s);
        rk_auto(rk_snapshot_unref) struct rk_snapshot *next = NULL;
        rk_auto(rk_bitmap_done) struct rk_bitmap hit;
        double t = cpu_us();

        rk_bitmap_init(&hit);
        next = rk_snapshot_apply(b->s, d);
        rk_snapshot_affected(b->s, next, &hit);
        us[i] = cpu_us() - t;
        hit_n = rk_bitmap_count(&hit);
    }
    (void)snprintf(full, sizeof(full), "change_%s_us", name);
    say(b, full, median(us, ROUNDS));
    (void)snprintf(full, sizeof(full), "change_%s_peers", name);
    say(b, full, (double)hit_n);
}

static struct rk_delta *wide_change(const struct rk_snapshot *s)
{
    return big_change_wide(s, "8443");
}

struct pushed {
    double us, sealed_us; /* CPU of all maps */
    size_t peers;
};

/* A change and every map it asks for, as one thread of management makes them. */
static struct pushed push(struct bench *b, change_fn *make)
{
    rk_auto(rk_delta_free) struct rk_delta *d = make(b->s);
    rk_auto(rk_snapshot_unref) struct rk_snapshot *next = NULL;
    rk_auto(rk_bitmap_done) struct rk_bitmap hit;
    struct pushed out = { 0 };
    double from = cpu_us(), maps_from, sealing = 0, share;
    size_t done = 0;

    rk_bitmap_init(&hit);
    next = rk_snapshot_apply(b->s, d);
    rk_snapshot_affected(b->s, next, &hit);
    out.peers = rk_bitmap_count(&hit);
    maps_from = cpu_us();
    for (size_t i = rk_bitmap_next(&hit, 0); i != SIZE_MAX && done < SAMPLE;
         i = rk_bitmap_next(&hit, i + 1), done++) {
        double t;
        uint8_t *frame;

        compile(b, next, i);
        t = cpu_us();
        frame = rk_alloc(b->map.n + RK_BOX_OVERHEAD);
        rk_box_seal(&b->box, b->map.p, b->map.n, frame);
        free(frame);
        sealing += cpu_us() - t;
    }
    share = done > 0 ? (double)out.peers / (double)done : 1;
    out.sealed_us = maps_from - from + (cpu_us() - maps_from) * share;
    out.us = out.sealed_us - sealing * share;
    return out;
}

static void pushes(struct bench *b)
{
    double one[ROUNDS], all[ROUNDS], sealed[ROUNDS];
    struct pushed p;

    for (int i = 0; i < ROUNDS; i++) {
        p = push(b, big_change_one);
        if (p.peers != 1)
            bench_die("a change for one concerns %zu", p.peers);
        one[i] = p.sealed_us / 1e3;
    }
    say(b, "one_ms", median(one, ROUNDS));
    for (int i = 0; i < 3; i++) {
        p = push(b, wide_change);
        if (p.peers != b->peers)
            bench_die("a change for everybody concerns %zu of %u", p.peers, b->peers);
        all[i] = p.us / 1e3;
        sealed[i] = p.sealed_us / 1e3;
    }
    say(b, "all_ms", median(all, 3));
    say(b, "all_sealed_ms", median(sealed, 3));
}

int main(int argc, char **argv)
{
    struct bench b = { 0 };
    struct rk_keypair own, peer;

    if (argc != 3)
        bench_die("usage: map PEERS POSTGRES");
    b.peers = (unsigned)bench_number(argv[1], 100, 60000);
    rk_crypto_init();
    rk_keypair_new(&own);
    rk_keypair_new(&peer);
    if (!rk_box_init(&b.box, &own, peer.public_key))
        bench_die("a weak key");

    rk_buf_init(&b.map, MAP_MAX);
    load(&b, argv[2]);
    maps(&b);
    applied(&b, "version", big_change_version);
    applied(&b, "team", big_change_team);
    applied(&b, "port", big_change_port);
    applied(&b, "join", big_change_join);
    pushes(&b);
    rk_snapshot_unref(b.s);
    rk_buf_done(&b.map);
    return 0;
}
