/*
 * The map compiler alone: time per map, per applied one-peer change with its affected set, and per
 * sealed map, in accounts where everyone talks to everyone. Medians of nine rounds of CPU time. No
 * arguments.
 */

#include <stdio.h>
#include <time.h>

#include "libcommon/account/compile/compile.h"
#include "tests/support/account_rows.h"

enum {
    ROUNDS = 9
};

static double cpu_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int order(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double median(double v[ROUNDS])
{
    qsort(v, ROUNDS, sizeof(*v), order);
    return v[ROUNDS / 2];
}

static struct rk_snapshot *account(unsigned peers)
{
    struct rk_delta *d = rows_full(1);
    struct rk_group_row *g = rows_group("gAll", "All");
    struct rk_policy_row *p = rows_policy("cqpolicydefault00000");
    struct rk_rule *r = rows_rule(p, RK_PROTO_ALL, true);
    char id[RK_XID_LEN + 1];

    rows_source(r, "gAll");
    rows_destination(r, "gAll");
    rows_add_account(d, rows_account());
    for (unsigned i = 1; i <= peers; i++) {
        struct rk_peer_row *row;

        (void)snprintf(id, sizeof(id), "cqpeer%014u", i);
        row = rows_peer(id, i);
        rows_set(
            &row->ssh_key,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2x1y3m4n5o6p7q8r9s0t1u2v3w4x5y6z7a8b9c0d1e");
        rows_add_peer(d, row);
        rows_member(g, id);
    }
    rows_add_group(d, g);
    rows_add_policy(d, p);
    return rows_apply(NULL, d);
}

static double map_us(const struct rk_snapshot *s, struct rk_buf *b)
{
    double v[ROUNDS];
    size_t n = rk_snapshot_peers(s);

    for (int i = 0; i < ROUNDS; i++) {
        double t = cpu_us();

        for (size_t k = 0; k < n; k++) {
            rk_buf_clear(b);
            rk_compile_map(s, k, 0, b);
        }
        v[i] = (cpu_us() - t) / (double)n;
    }
    return median(v);
}

/* One peer's version changes: the next snapshot and who is affected. */
static void change_us(const struct rk_snapshot *s, double *out_apply, double *out_affected)
{
    double apply[ROUNDS], affected[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        rk_auto(rk_delta_free) struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);
        rk_auto(rk_snapshot_unref) struct rk_snapshot *next = NULL;
        rk_auto(rk_bitmap_done) struct rk_bitmap hit;
        struct rk_peer_row *row = rows_peer(rk_snapshot_peer(s, 1)->id, 2);
        double t;

        rk_bitmap_init(&hit);
        rows_set(&row->version, "0.77.2");
        rows_add_peer(d, row);
        t = cpu_us();
        next = rk_snapshot_apply(s, d);
        apply[i] = cpu_us() - t;
        t = cpu_us();
        rk_snapshot_affected(s, next, &hit);
        affected[i] = cpu_us() - t;
    }
    *out_apply = median(apply);
    *out_affected = median(affected);
}

/* A peer joins with its membership: the sides of the rules move too. */
static double join_us(const struct rk_snapshot *s)
{
    double v[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        rk_auto(rk_delta_free) struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);
        rk_auto(rk_snapshot_unref) struct rk_snapshot *next = NULL;
        rk_auto(rk_bitmap_done) struct rk_bitmap hit;
        double t;

        rk_bitmap_init(&hit);
        rows_add_peer(d, rows_peer("cqpeer99999999999999", 60000));
        rows_add_membership(d, "gAll", "cqpeer99999999999999", true);
        t = cpu_us();
        next = rk_snapshot_apply(s, d);
        rk_snapshot_affected(s, next, &hit);
        v[i] = cpu_us() - t;
    }
    return median(v);
}

static double seal_us(const struct rk_buf *map)
{
    struct rk_keypair own, peer;
    struct rk_box box;
    double v[ROUNDS];
    uint8_t *out = rk_alloc(map->n + RK_BOX_OVERHEAD);

    rk_keypair_new(&own);
    rk_keypair_new(&peer);
    if (!rk_box_init(&box, &own, peer.public_key))
        abort();
    for (int i = 0; i < ROUNDS; i++) {
        double t = cpu_us();

        for (int k = 0; k < 50; k++)
            rk_box_seal(&box, map->p, map->n, out);
        v[i] = (cpu_us() - t) / 50;
    }
    free(out);
    return median(v);
}

int main(void)
{
    static const unsigned sizes[] = { 100, 500, 1000 };

    rk_crypto_init();
    printf("%8s %10s %10s %10s %12s %10s %10s\n", "peers", "map bytes", "map us", "apply us",
           "affected us", "join us", "seal us");
    for (size_t i = 0; i < RK_COUNT(sizes); i++) {
        rk_auto(rk_snapshot_unref) struct rk_snapshot *s = account(sizes[i]);
        rk_auto(rk_buf_done) struct rk_buf b;
        double map, apply, affected;

        rk_buf_init(&b, 64 << 20);
        map = map_us(s, &b);
        change_us(s, &apply, &affected);
        printf("%8u %10zu %10.1f %10.1f %12.1f %10.1f %10.1f\n", sizes[i], b.n, map, apply,
               affected, join_us(s), seal_us(&b));
    }
    return 0;
}
