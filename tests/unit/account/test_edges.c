/* Rows of relays and STUN servers that register, against a real server. */

#include "tests/support/test.h"

#include "libcommon/account/store/edges.h"
#include "tests/support/account_pg.h"

#define RELAY "rels://relay-1.example:443"

static int fresh(void **state)
{
    (void)state;
    pg_must(pg, "DELETE FROM edge");
    return 0;
}

static struct rk_claim claim(void)
{
    static int64_t clock = INT64_C(1700000000000000);

    return (struct rk_claim){
        .url = RELAY, .region = "eu", .capacity = 100, .said_us = clock += 2000000
    };
}

static bool renew(const struct rk_claim *c)
{
    struct rk_err err = { 0 };
    bool news = false;

    if (rk_edge_renew(pg, c, &news, &err) < 0)
        fail_msg("%s", err.msg);
    return news;
}

static struct rk_edge_rows *load(void)
{
    struct rk_edge_rows *rows = NULL;
    struct rk_err err = { 0 };

    if (rk_edge_load(pg, &rows, &err) < 0)
        fail_msg("%s", err.msg);
    return rows;
}

static void only_news_is_news(void **state)
{
    struct rk_claim c = claim();

    (void)state;
    assert_true(renew(&c)); /* it is new */
    c = claim();
    c.load = 50;
    assert_false(renew(&c)); /* it does more; no list depends on it yet */
    c = claim();
    c.region = "us";
    assert_true(renew(&c));
    c = claim();
    c.region = "us";
    c.at = (struct rk_position){ true, 1, -2 };
    assert_true(renew(&c));
    c.said_us++;
    assert_false(renew(&c));
    c.said_us++;
    c.leaving = true;
    assert_true(renew(&c));
    c.said_us++;
    assert_false(renew(&c));
}

static void one_that_comes_back_is_news(void **state)
{
    struct rk_claim c = claim();

    (void)state;
    (void)renew(&c);
    pg_must(pg, "UPDATE edge SET expires_at = now() - interval '1 s'");
    c = claim();
    assert_true(renew(&c));
}

static void an_older_claim_changes_nothing(void **state)
{
    struct rk_claim first = claim(), second = claim();
    rk_auto(rk_edge_rows_free) struct rk_edge_rows *rows = NULL;

    (void)state;
    second.leaving = true;
    assert_true(renew(&second));
    assert_false(renew(&first)); /* it was on its way for longer */
    assert_false(renew(&second));
    rows = load();
    assert_int_equal(rows->n, 1);
    assert_true(rows->row[0].leaving);
}

static void crowded_is_from_nine_tenths_until_below_eight(void **state)
{
    static const struct {
        uint64_t load;
        bool crowded, news;
    } steps[] = { { 89, false, true }, { 90, true, true },  { 85, true, false },
                  { 80, true, false }, { 79, false, true }, { 89, false, false } };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(steps); i++) {
        rk_auto(rk_edge_rows_free) struct rk_edge_rows *rows = NULL;
        struct rk_claim c = claim();

        c.load = steps[i].load;
        assert_int_equal(renew(&c), steps[i].news);
        rows = load();
        assert_int_equal(rows->row[0].crowded, steps[i].crowded);
        assert_int_equal(rows->row[0].load, steps[i].load);
    }
    {
        struct rk_claim c = claim();
        rk_auto(rk_edge_rows_free) struct rk_edge_rows *rows = NULL;

        c.capacity = 0; /* no bound */
        c.load = 1000000;
        (void)renew(&c);
        rows = load();
        assert_false(rows->row[0].crowded);
    }
}

static void what_was_claimed_is_read(void **state)
{
    rk_auto(rk_edge_rows_free) struct rk_edge_rows *rows = NULL;
    struct rk_claim stun = claim(), relay = claim();

    (void)state;
    stun.url = "stun:stun.example:3478";
    stun.region = "ap";
    stun.capacity = 0;
    relay.at = (struct rk_position){ true, 501100, -86800 };
    (void)renew(&relay);
    (void)renew(&stun);
    rows = load();
    assert_int_equal(rows->n, 2);
    assert_string_equal(rows->row[0].url, "stun:stun.example:3478"); /* by region */
    assert_int_equal(rows->row[0].kind, RK_EDGE_STUN);
    assert_false(rows->row[0].at.known);
    assert_int_equal(rows->row[1].kind, RK_EDGE_RELAY);
    assert_string_equal(rows->row[1].region, "eu");
    assert_true(rows->row[1].at.known);
    assert_int_equal(rows->row[1].at.latitude_e4, 501100);
    assert_int_equal(rows->row[1].at.longitude_e4, -86800);
    assert_in_range(rows->row[1].left_ms, RK_EDGE_LEASE_MS / 2, RK_EDGE_LEASE_MS);
}

static void the_next_claim_tells_of_a_drain(void **state)
{
    struct rk_claim c = claim();
    rk_auto(rk_edge_rows_free) struct rk_edge_rows *rows = NULL;
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_edge_drain(pg, RELAY, true, &err), RK_NOT_FOUND);
    (void)renew(&c);
    assert_int_equal(rk_edge_drain(pg, RELAY, true, &err), 0);
    c = claim();
    assert_true(renew(&c));
    c = claim();
    assert_false(renew(&c));
    rows = load();
    assert_true(rows->row[0].drained); /* what it claims does not change that */
    assert_int_equal(rk_edge_drain(pg, RELAY, true, &err), 0);
    c = claim();
    assert_false(renew(&c)); /* it was drained before */
    assert_int_equal(rk_edge_drain(pg, RELAY, false, &err), 0);
    c = claim();
    assert_true(renew(&c));
}

static void several_behind_one_address_share_it(void **state)
{
    struct rk_claim a = claim(), b = claim();
    rk_auto(rk_edge_rows_free) struct rk_edge_rows *both = NULL, *one = NULL, *none = NULL;
    struct rk_err err = { 0 };

    (void)state;
    b.who = 2;
    (void)renew(&a);
    (void)renew(&b);
    both = load();
    assert_int_equal(both->n, 1);
    a.said_us++;
    a.leaving = true;
    assert_true(renew(&a));
    one = load();
    assert_int_equal(one->n, 1);
    assert_false(one->row[0].leaving);
    assert_int_equal(rk_edge_drain(pg, RELAY, true, &err), 0);
    b.said_us++;
    b.leaving = true;
    (void)renew(&b);
    a = claim();
    a.who = 3; /* started anew */
    (void)renew(&a);
    none = load();
    assert_int_equal(none->n, 1);
    assert_false(none->row[0].leaving);
    assert_true(none->row[0].drained);
}

static void what_has_been_gone_for_a_day_is_forgotten(void **state)
{
    struct rk_claim c = claim();
    struct rk_err err = { 0 };

    (void)state;
    (void)renew(&c);
    pg_must(pg, "UPDATE edge SET expires_at = now() - interval '23 hours'");
    assert_int_equal(rk_edge_prune(pg, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM edge"), 1);
    pg_must(pg, "UPDATE edge SET expires_at = now() - interval '25 hours'");
    assert_int_equal(rk_edge_prune(pg, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM edge"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_news_is_news, fresh),
        cmocka_unit_test_setup(one_that_comes_back_is_news, fresh),
        cmocka_unit_test_setup(an_older_claim_changes_nothing, fresh),
        cmocka_unit_test_setup(crowded_is_from_nine_tenths_until_below_eight, fresh),
        cmocka_unit_test_setup(what_was_claimed_is_read, fresh),
        cmocka_unit_test_setup(the_next_claim_tells_of_a_drain, fresh),
        cmocka_unit_test_setup(several_behind_one_address_share_it, fresh),
        cmocka_unit_test_setup(what_has_been_gone_for_a_day_is_forgotten, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
