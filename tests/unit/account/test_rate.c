/* Token buckets against a real server. Time goes by in the table. */

#include "tests/support/test.h"

#include "libcommon/account/rules/rate.h"
#include "tests/support/account_pg.h"

static const struct rk_rate slow = { "slow", .per_minute = 10, .burst = 5 };

/* How many of `tries` are let in. */
static int let_in(const char *who, int tries)
{
    int n = 0;

    for (int i = 0; i < tries; i++) {
        struct rk_err err = { 0 };
        int r = rk_rate_take(pg, &slow, who, &err);

        if (r == 0)
            n++;
        else if (r != RK_EXHAUSTED)
            fail_msg("%s", err.msg);
        else
            assert_string_equal(err.msg, "rate limit exceeded, please try again later");
    }
    return n;
}

static void a_burst_is_let_in_and_then_so_many_a_minute(void **state)
{
    (void)state;
    assert_int_equal(let_in("a", 20), 5);
    assert_int_equal(let_in("b", 4), 4);
    pg_must(pg, "UPDATE rate_bucket SET at = at - interval '13 seconds' WHERE who = 'a'");
    assert_int_equal(let_in("a", 20), 2);
    pg_must(pg, "UPDATE rate_bucket SET at = at - interval '50 minutes' WHERE who = 'a'");
    assert_int_equal(let_in("a", 20), 5);
}

static void those_who_stay_away_are_forgotten(void **state)
{
    (void)state;
    pg_must(pg, "INSERT INTO rate_bucket (name, who, tokens, at) SELECT 'slow', 'x' || i, 0, now() "
                "- interval '121 minutes' FROM generate_series(1, 9) AS i");
    assert_int_equal(let_in("c", 5), 5);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM rate_bucket WHERE who LIKE 'x%'"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_let_in_and_then_so_many_a_minute),
        cmocka_unit_test(those_who_stay_away_are_forgotten),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
