/*
 * A replica follows an account. Random changes go through the rules into a real server; a follower
 * reads what changed past its serial, applies it, and "pushes" a map to each affected peer, as
 * management does. Whenever it has caught up, its snapshot compiles to the same maps as one loaded
 * from nothing, and the last map pushed to every peer is the one it ought to have.
 *
 * ROOKERY_TEST_SECONDS makes it run longer, ROOKERY_TEST_SEED repeats a choice of changes.
 */

#include "tests/support/test.h"

#include <pthread.h>
#include <stdlib.h>

#include "libcommon/account/compile/compile.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"
#include "libcommon/crypto/box.h"
#include "proto/management.pb-c.h"
#include "tests/support/account_life.h"
#include "tests/support/pg_fixture.h"

#define DOMAIN "d.test"
#define NOW_US INT64_C(1700000000000000)
#define MAP_MAX (1 << 24)
#define STEPS 120
#define WRITERS 3

static struct rk_account_created acc;
static uint64_t seed;
static uint64_t until_ms; /* 0: a fixed number of steps */

static int start(void **state)
{
    const char *seconds = getenv("ROOKERY_TEST_SECONDS"), *given = getenv("ROOKERY_TEST_SEED");
    rk_auto(rk_pg_free) struct rk_pg *pg = NULL;
    struct rk_err err = { 0 };

    (void)state;
    rk_crypto_init();
    if (!fixture_postgres(&fx))
        return -1;
    pg = rk_pg_new(fx.conninfo, "test");
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)rk_wall_us();
    if (seconds)
        until_ms = strtoull(seconds, NULL, 10) * 1000;
    print_message("ROOKERY_TEST_SEED=%llu\n", (unsigned long long)seed);
    return rk_store_migrate(pg, &err);
}

static int fresh(void **state)
{
    const struct rk_account_setup in = {
        .domain = DOMAIN, .email = "o@d.test", .name = "O", .password_hash = "x"
    };
    rk_auto(rk_pg_free) struct rk_pg *pg = rk_pg_new(fx.conninfo, "fresh");
    struct rk_err err = { 0 };

    (void)state;
    if (rk_pg_script(pg, "DELETE FROM account", &err) < 0)
        return -1;
    return rk_account_setup(pg, &in, &acc, &err);
}

static struct life life_of(struct rk_pg *pg, uint64_t n)
{
    return (struct life){ .pg = pg,
                          .seed = (seed + n) * UINT64_C(0x9e3779b97f4a7c15) | 1,
                          .actor = { .account_id = acc.account_id,
                                     .user_id = acc.user_id,
                                     .is_admin = true,
                                     .default_domain = DOMAIN } };
}

/* --- the follower --- */

struct pushed {
    char id[RK_XID_LEN + 1];
    struct rk_buf map;
    bool lives;
};

struct follower {
    struct rk_pg *pg;
    struct rk_snapshot *snap;
    struct rk_map *maps; /* peer id → struct pushed */
    unsigned loads, full, maps_pushed, maps_due;
};

static struct follower follower_of(struct rk_pg *pg)
{
    return (struct follower){ .pg = pg, .maps = rk_map_new() };
}

static void follower_done(struct follower *f)
{
    void *value;
    size_t it = 0;

    while (rk_map_each(f->maps, &it, &value)) {
        rk_buf_done(&((struct pushed *)value)->map);
        free(value);
    }
    rk_map_free(f->maps);
    rk_snapshot_unref(f->snap);
}

static void push(struct follower *f, size_t index)
{
    const struct rk_peer_row *p = rk_snapshot_peer(f->snap, index);
    struct pushed *to = rk_map_get(f->maps, rk_str(p->id));

    if (!to) {
        to = rk_new(struct pushed);
        memcpy(to->id, p->id, sizeof(to->id));
        rk_buf_init(&to->map, MAP_MAX);
        rk_map_put(f->maps, rk_str(to->id), to);
    }
    rk_buf_clear(&to->map);
    rk_compile_map(f->snap, index, NOW_US, &to->map);
    f->maps_pushed++;
}

static struct rk_delta *load(struct rk_pg *pg, uint64_t since)
{
    struct rk_delta *d = NULL;
    struct rk_err err = { 0 };

    if (rk_store_load(pg, acc.account_id, since, DOMAIN, &d, &err) < 0)
        fail_msg("load: %s", err.msg);
    assert_false(d->account_gone);
    return d;
}

static void follow(struct follower *f)
{
    rk_auto(rk_delta_free) struct rk_delta *d =
        load(f->pg, f->snap ? rk_snapshot_serial(f->snap) : 0);
    rk_auto(rk_bitmap_done) struct rk_bitmap affected;
    struct rk_snapshot *was = f->snap;

    rk_bitmap_init(&affected);
    f->loads++;
    f->full += d->full;
    f->snap = rk_snapshot_apply(was, d);
    if (was) {
        assert_true(rk_snapshot_serial(f->snap) >= rk_snapshot_serial(was));
        rk_snapshot_affected(was, f->snap, &affected);
    }
    for (size_t i = 0; i < rk_snapshot_peer_bound(f->snap); i++) {
        if (rk_snapshot_peer(f->snap, i) && (!was || rk_bitmap_test(&affected, i)))
            push(f, i);
        f->maps_due += rk_snapshot_peer(f->snap, i) != NULL;
    }
    rk_snapshot_unref(was);
}

/* --- what must hold --- */

/* The map without its serial: a map that was right at an earlier serial still is. */
static void normal(const struct rk_buf *in, struct rk_buf *out)
{
    Management__SyncResponse *m = management__sync_response__unpack(NULL, in->n, in->p);

    assert_false(in->overflow);
    assert_non_null(m);
    if (m->networkmap)
        m->networkmap->serial = 0;
    rk_buf_clear(out);
    assert_non_null(rk_buf_reserve(out, management__sync_response__get_packed_size(m)));
    rk_buf_commit(out, management__sync_response__pack(m, out->p));
    management__sync_response__free_unpacked(m, NULL);
}

static void
same(const struct rk_buf *got, const struct rk_buf *want, const char *what, const char *id)
{
    if (got->n != want->n || memcmp(got->p, want->p, want->n) != 0)
        fail_msg("%s of peer %s: %zu bytes instead of %zu, or others", what, id, got->n, want->n);
}

static void check(struct follower *f)
{
    rk_auto(rk_delta_free) struct rk_delta *all = load(f->pg, 0);
    rk_auto(rk_snapshot_unref) struct rk_snapshot *truth = rk_snapshot_apply(NULL, all);
    rk_auto(rk_buf_done) struct rk_buf mine, right, last;

    rk_buf_init(&mine, MAP_MAX);
    rk_buf_init(&right, MAP_MAX);
    rk_buf_init(&last, MAP_MAX);
    assert_true(all->full);
    assert_int_equal(rk_snapshot_serial(f->snap), rk_snapshot_serial(truth));
    assert_int_equal(rk_snapshot_peers(f->snap), rk_snapshot_peers(truth));
    for (size_t i = 0; i < rk_snapshot_peer_bound(truth); i++) {
        const struct rk_peer_row *p = rk_snapshot_peer(truth, i);
        struct pushed *pushed;
        size_t k;

        if (!p)
            continue;
        k = rk_snapshot_find_key(f->snap, p->key);
        assert_true(k != RK_NO_PEER);
        rk_buf_clear(&mine);
        rk_buf_clear(&right);
        rk_compile_map(f->snap, k, NOW_US, &mine);
        rk_compile_map(truth, i, NOW_US, &right);
        same(&mine, &right, "followed map", p->id);
        pushed = rk_map_get(f->maps, rk_str(p->id));
        assert_non_null(pushed);
        normal(&pushed->map, &last);
        normal(&right, &mine);
        same(&last, &mine, "last pushed map", p->id);
    }
}

static void report(const char *who, const struct follower *f)
{
    print_message("%s: %u loads, %u of them full; %u maps pushed of %u\n", who, f->loads, f->full,
                  f->maps_pushed, f->maps_due);
}

/* --- the lives --- */

/* One follower keeps up with every change, the other sleeps over many. */
static void followers_have_what_a_fresh_load_gives(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = rk_pg_new(fx.conninfo, "life");
    struct follower prompt = follower_of(pg), lazy = follower_of(pg);
    struct life l = life_of(pg, 0);
    uint64_t begun = rk_mono_ms();
    struct rk_err err = { 0 };
    int64_t gone;

    (void)state;
    follow(&prompt);
    for (unsigned i = 0; until_ms ? rk_mono_ms() - begun < until_ms / 2 : i < STEPS; i++) {
        life_step(&l);
        follow(&prompt);
        check(&prompt);
        if (life_below(&l, 12) == 0) {
            if (life_below(&l, 4) == 0) { /* what the lazy one has not read is gone: a gap */
                assert_int_equal(rk_pg_script(pg,
                                              "UPDATE account_change SET at = now() - "
                                              "interval '1 day'",
                                              &err),
                                 0);
                assert_int_equal(rk_store_prune_changes(pg, 3600, &gone, &err), 0);
            }
            follow(&lazy);
            check(&lazy);
        }
    }
    print_message("%u changes, %u refused\n", l.done, l.refused);
    report("prompt", &prompt);
    report("lazy", &lazy);
    assert_true(prompt.maps_pushed < prompt.maps_due); /* not everyone every time */
    assert_true(l.done > l.refused);
    follower_done(&prompt);
    follower_done(&lazy);
}

struct writer {
    struct life life;
    uint64_t begun;
    _Atomic bool over;
};

static void *write_on(void *arg)
{
    struct writer *w = arg;
    rk_auto(rk_pg_free) struct rk_pg *pg = rk_pg_new(fx.conninfo, "writer");

    w->life.pg = pg;
    for (unsigned i = 0; until_ms ? rk_mono_ms() - w->begun < until_ms / 2 : i < STEPS / 2; i++)
        life_step(&w->life);
    w->over = true;
    return NULL;
}

/* Several writers at once: a follower never sees half of a change, and loses none. */
static void a_follower_of_writers_that_race_ends_where_they_end(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = rk_pg_new(fx.conninfo, "follower");
    struct follower f = follower_of(pg);
    struct writer w[WRITERS];
    pthread_t t[WRITERS];
    unsigned over, done = 0, refused = 0;

    (void)state;
    for (unsigned i = 0; i < WRITERS; i++) {
        w[i] = (struct writer){ .life = life_of(NULL, i + 1), .begun = rk_mono_ms() };
        assert_int_equal(pthread_create(&t[i], NULL, write_on, &w[i]), 0);
    }
    do {
        over = 0;
        for (unsigned i = 0; i < WRITERS; i++)
            over += w[i].over;
        follow(&f); /* after the look: what was written before it is seen now */
    } while (over < WRITERS);
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(t[i], NULL);
        done += w[i].life.done;
        refused += w[i].life.refused;
    }
    check(&f);
    print_message("%u changes, %u refused\n", done, refused);
    report("follower", &f);
    assert_true(f.maps_pushed < f.maps_due);
    assert_true(done > refused);
    follower_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(followers_have_what_a_fresh_load_gives, fresh),
        cmocka_unit_test_setup(a_follower_of_writers_that_race_ends_where_they_end, fresh),
    };

    return cmocka_run_group_tests(tests, start, fixture_stop);
}
