#include "tests/support/test.h"

/*
 * Random lives of a small account. After each change: the snapshot made by applying it compiles,
 * for every peer, to the same bytes as one built from nothing; every peer whose map became
 * different is among the affected; and a delta applied twice changes nothing.
 *
 * ROOKERY_TEST_SEED begins with another life; ROOKERY_TEST_LIVES and ROOKERY_TEST_ROUNDS tell how
 * many there are and how many changes each has.
 */

#include <stdio.h>

#include "libcommon/account/compile/compile.h"
#include "tests/support/random_life.h"

enum {
    LIVES = 60,
    ROUNDS = 100
};

static uint64_t life_seed; /* where this life began, to live it again */

/* --- the properties
 * -----------------------------------------------------------------------------------------------------
 */

static void map_of(const struct rk_snapshot *s, size_t index, struct rk_buf *b)
{
    rk_buf_clear(b);
    rk_compile_map(s, index, NOW_US, b);
    assert_false(b->overflow);
}

/* In both forms. */
static void maps_of(const struct rk_snapshot *s, size_t index, struct rk_buf *b)
{
    map_of(s, index, b);
    rk_compile_components(s, index, NOW_US, b);
    assert_false(b->overflow);
}

static void
assert_same_everywhere(const struct rk_snapshot *a, const struct rk_snapshot *b, unsigned round)
{
    rk_auto(rk_buf_done) struct rk_buf x, y;

    rk_buf_init(&x, 1 << 24);
    rk_buf_init(&y, 1 << 24);
    assert_int_equal(rk_snapshot_peers(a), rk_snapshot_peers(b));
    for (size_t i = 0; i < rk_snapshot_peer_bound(a); i++) {
        const struct rk_peer_row *p = rk_snapshot_peer(a, i);
        size_t k;

        if (!p)
            continue;
        k = rk_snapshot_find_id(b, rk_str(p->id));
        assert_true(k != RK_NO_PEER);
        assert_int_equal(rk_snapshot_find_key(a, p->key), i);
        maps_of(a, i, &x);
        maps_of(b, k, &y);
        if (x.n != y.n || memcmp(x.p, y.p, x.n) != 0)
            fail_msg("life of seed %llu, round %u: map of %s differs",
                     (unsigned long long)life_seed, round, p->id);
    }
}

/* How many were named affected, and how many really changed. */
struct tally {
    size_t named, changed;
};

/* Both at one serial. */
static void check_affected(const struct rk_snapshot *was,
                           const struct rk_snapshot *now,
                           unsigned round,
                           struct tally *tally)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap hit;
    rk_auto(rk_buf_done) struct rk_buf x, y;

    rk_bitmap_init(&hit);
    rk_buf_init(&x, 1 << 24);
    rk_buf_init(&y, 1 << 24);
    rk_snapshot_affected(was, now, &hit);
    for (size_t i = 0; i < rk_snapshot_peer_bound(now); i++) {
        const struct rk_peer_row *p = rk_snapshot_peer(now, i);
        size_t k;
        bool differs = true;

        if (!p) {
            assert_false(rk_bitmap_test(&hit, i));
            continue;
        }
        k = rk_snapshot_find_id(was, rk_str(p->id));
        if (k != RK_NO_PEER) {
            map_of(was, k, &x);
            map_of(now, i, &y);
            differs = x.n != y.n || memcmp(x.p, y.p, x.n) != 0;
        }
        if (differs && !rk_bitmap_test(&hit, i))
            fail_msg("life of seed %llu, round %u: the map of %s changed but it is not affected",
                     (unsigned long long)life_seed, round, p->id);
        tally->named += rk_bitmap_test(&hit, i);
        tally->changed += differs;
    }
}

static void check_twice(const struct rk_snapshot *s, const struct rk_delta *d, unsigned round)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *twice = rk_snapshot_apply(s, d);
    rk_auto(rk_bitmap_done) struct rk_bitmap hit = { NULL, 0 };

    assert_same_everywhere(twice, s, round);
    rk_snapshot_affected(s, twice, &hit);
    assert_true(rk_bitmap_empty(&hit));
}

static void live(unsigned rounds, struct tally *tally)
{
    struct world w = { .account = rows_account() }; /* one serial throughout: it is in every map */
    struct rk_snapshot *s;

    for (unsigned i = 0; i < 60; i++) /* someone to begin with */
        rk_delta_free(some_changes(&w));
    s = rows_apply(NULL, full_of(&w));
    for (unsigned round = 0; round < rounds; round++) {
        rk_auto(rk_delta_free) struct rk_delta *d = some_changes(&w);
        rk_auto(rk_snapshot_unref) struct rk_snapshot *was = s;
        rk_auto(rk_snapshot_unref) struct rk_snapshot *fresh = rows_apply(NULL, full_of(&w));

        s = rk_snapshot_apply(was, d);
        assert_same_everywhere(s, fresh, round);
        check_affected(was, s, round, tally);
        if (round % 10 == 0)
            check_twice(s, d, round);
    }
    rk_snapshot_unref(s);
    world_done(&w);
}

static void incremental_equals_reloaded_and_nobody_affected_is_missed(void **state)
{
    unsigned lives = (unsigned)given("ROOKERY_TEST_LIVES", LIVES);
    unsigned rounds = (unsigned)given("ROOKERY_TEST_ROUNDS", ROUNDS);
    struct tally tally = { 0, 0 };

    (void)state;
    random_seed = given("ROOKERY_TEST_SEED", random_seed);
    for (unsigned i = 0; i < lives; i++) {
        life_seed = random_seed;
        live(rounds, &tally);
    }
    print_message("%u lives of %u changes: %zu named affected, %zu really changed\n", lives, rounds,
                  tally.named, tally.changed);
    assert_true(tally.changed > (size_t)lives * rounds / 2);
    assert_true(tally.named < tally.changed * 5 / 4); /* not everyone every time */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incremental_equals_reloaded_and_nobody_affected_is_missed),
    };

    return RUN_TESTS(tests);
}
