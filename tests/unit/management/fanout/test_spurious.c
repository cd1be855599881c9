/*
 * Whom a change is pushed to, over random lives of a small account: everybody whose map changed,
 * and hardly anybody else. What management does is done here to every peer as if it were connected:
 * who is affected gets its map compiled, and sent unless its digest says that the last one said the
 * same. The truth is the map of a twin snapshot whose serial never moves, byte by byte.
 *
 * ROOKERY_TEST_SEED begins with another life; ROOKERY_TEST_LIVES and ROOKERY_TEST_ROUNDS tell how
 * many there are and how many changes each has.
 */

#include "tests/support/test.h"

#include "libcommon/account/compile/compile.h"
#include "services/management/fanout/digest.h"
#include "tests/support/random_life.h"

enum {
    LIVES = 100,
    ROUNDS = 100
};

/* What a connected peer was sent last. */
struct held {
    bool some;
    uint8_t digest[DIGEST_LEN];
    struct rk_buf truth;
};

struct tally {
    size_t pushed, spurious; /* maps written, and of those what said nothing new */
    size_t in_vain;          /* compiled, and held back by the digest */
    size_t quiet;            /* peers that a change left alone */
};

struct life {
    struct digest_key key;
    struct rk_snapshot *counted, *still; /* the same account, with its serial and without */
    struct held held[PEERS];
    struct rk_buf map, truth;
};

/* Every other peer makes its map itself. */
static bool makes_its_own(unsigned peer)
{
    return peer % 2 == 1;
}

static void compile(const struct rk_snapshot *s, size_t index, unsigned peer, struct rk_buf *b)
{
    rk_buf_clear(b);
    if (makes_its_own(peer))
        rk_compile_components(s, index, NOW_US, b);
    else
        rk_compile_map(s, index, NOW_US, b);
    assert_false(b->overflow);
}

static bool holds(const struct held *h, const struct rk_buf *truth)
{
    return h->some && h->truth.n == truth->n && memcmp(h->truth.p, truth->p, truth->n) == 0;
}

/* As session_push does. */
static void push(struct life *l, size_t index, unsigned peer, struct tally *tally)
{
    struct held *h = &l->held[peer];
    uint8_t digest[DIGEST_LEN];

    compile(l->counted, index, peer, &l->map);
    assert_true(digest_map(&l->key, rk_buf_str(&l->map), digest));
    if (h->some && memcmp(digest, h->digest, DIGEST_LEN) == 0) {
        tally->in_vain++;
        assert_true(holds(h, &l->truth));
        return;
    }
    tally->pushed++;
    tally->spurious += holds(h, &l->truth);
    h->some = true;
    memcpy(h->digest, digest, DIGEST_LEN);
    rk_buf_clear(&h->truth);
    assert_true(rk_buf_put(&h->truth, l->truth.p, l->truth.n));
}

static void look_at(struct life *l, const struct rk_bitmap *hit, unsigned peer, struct tally *tally)
{
    char id[RK_XID_LEN + 1];
    size_t index, twin;

    random_peer_id(peer, id);
    index = rk_snapshot_find_id(l->counted, rk_str(id));
    if (index == RK_NO_PEER) {
        l->held[peer].some = false; /* its stream has ended */
        return;
    }
    twin = rk_snapshot_find_id(l->still, rk_str(id));
    assert_true(twin != RK_NO_PEER);
    compile(l->still, twin, peer, &l->truth);
    if (rk_bitmap_test(hit, index) || !l->held[peer].some) {
        push(l, index, peer, tally);
        return;
    }
    tally->quiet++;
    /* Components hold more than what they make, which alone has to be told. */
    if (!makes_its_own(peer) && !holds(&l->held[peer], &l->truth))
        fail_msg("%s was not told of a change of its map", id);
}

static void
change_both(struct life *l, const struct rk_delta *d, uint64_t serial, struct rk_bitmap *hit)
{
    struct rk_snapshot *counted, *still;
    /* The delta says its serial alone; nothing else in it depends on that. */
    struct rk_delta at = *d;

    at.serial = serial;
    counted = rk_snapshot_apply(l->counted, &at);
    still = rk_snapshot_apply(l->still, d);
    rk_bitmap_init(hit);
    if (l->counted)
        rk_snapshot_affected(l->counted, counted, hit);
    rk_snapshot_unref(l->counted);
    rk_snapshot_unref(l->still);
    l->counted = counted;
    l->still = still;
}

static void live(unsigned rounds, struct tally *tally)
{
    struct world w = { .account = rows_account() };
    struct life l = { 0 };

    digest_key_new(&l.key);
    rk_buf_init(&l.map, 1 << 24);
    rk_buf_init(&l.truth, 1 << 24);
    for (unsigned i = 0; i < PEERS; i++)
        rk_buf_init(&l.held[i].truth, 1 << 24);
    for (unsigned i = 0; i < 60; i++) /* someone to begin with */
        rk_delta_free(some_changes(&w));
    for (unsigned round = 0; round < rounds; round++) {
        rk_auto(rk_delta_free) struct rk_delta *d = round == 0 ? full_of(&w) : some_changes(&w);
        rk_auto(rk_bitmap_done) struct rk_bitmap hit;

        change_both(&l, d, 1 + round, &hit);
        for (unsigned i = 0; i < PEERS; i++)
            look_at(&l, &hit, i, tally);
    }
    rk_snapshot_unref(l.counted);
    rk_snapshot_unref(l.still);
    for (unsigned i = 0; i < PEERS; i++)
        rk_buf_done(&l.held[i].truth);
    rk_buf_done(&l.map);
    rk_buf_done(&l.truth);
    world_done(&w);
}

static void who_has_nothing_new_to_hear_is_left_alone(void **state)
{
    unsigned lives = (unsigned)given("ROOKERY_TEST_LIVES", LIVES);
    unsigned rounds = (unsigned)given("ROOKERY_TEST_ROUNDS", ROUNDS);
    struct tally t = { 0 };

    (void)state;
    random_seed = given("ROOKERY_TEST_SEED", random_seed);
    for (unsigned i = 0; i < lives; i++)
        live(rounds, &t);
    print_message("%u lives of %u changes: %zu maps pushed, %zu of them spurious; %zu compiled in "
                  "vain; %zu times left alone\n",
                  lives, rounds, t.pushed, t.spurious, t.in_vain, t.quiet);
    assert_true(t.pushed > (size_t)lives * rounds / 2);
    assert_true(t.quiet > t.pushed / 4);
    assert_true(t.spurious * 100 < t.pushed);
    assert_true(t.in_vain * 4 < t.pushed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_nothing_new_to_hear_is_left_alone),
    };

    return RUN_TESTS(tests);
}
