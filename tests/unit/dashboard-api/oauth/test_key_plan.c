#include "services/dashboard-api/oauth/key_plan.h"
#include "tests/support/test.h"

#define T0 1000000

static void without_a_key_one_signs_at_once(void **state)
{
    const struct key_term over = { T0 - 100, T0 };
    const struct key_term later = { T0 + 1, T0 + 100 };
    int64_t from = 0;

    (void)state;
    assert_int_equal(key_plan(NULL, 0, T0, &from), KEY_NOW);
    assert_int_equal(key_plan(&over, 1, T0, &from), KEY_NOW);
    assert_int_equal(key_plan(&later, 1, T0, &from), KEY_NOW);
    assert_int_equal(key_signing(&over, 1, T0), -1);
    assert_int_equal(key_signing(&over, 1, T0 - 1), 0);
}

static void the_next_is_published_more_than_an_hour_before_it_signs(void **state)
{
    struct key_term keys[2] = { { T0, T0 + KEY_SIGNS_S } };
    int64_t from = 0, now = T0 + KEY_SIGNS_S - KEY_LEAD_S;

    (void)state;
    assert_int_equal(key_plan(keys, 1, T0, &from), KEY_NONE);
    assert_int_equal(key_plan(keys, 1, now - 1, &from), KEY_NONE);
    assert_int_equal(key_plan(keys, 1, now, &from), KEY_NEXT);
    assert_int_equal(from, T0 + KEY_SIGNS_S);
    assert_true(from - now >= 3600);
    keys[1] = (struct key_term){ from, from + KEY_SIGNS_S };
    assert_int_equal(key_plan(keys, 2, now, &from), KEY_NONE);
    assert_int_equal(key_signing(keys, 2, keys[1].signs_from_s - 1), 0);
    assert_int_equal(key_signing(keys, 2, keys[1].signs_from_s), 1);
}

static void of_two_that_sign_the_later_one_does(void **state)
{
    const struct key_term keys[] = { { T0, T0 + 1000 },
                                     { T0 + 10, T0 + 1000 },
                                     { T0 + 5, T0 + 9 } };

    (void)state;
    assert_int_equal(key_signing(keys, 3, T0 + 6), 2);
    assert_int_equal(key_signing(keys, 3, T0 + 9), 0);
    assert_int_equal(key_signing(keys, 3, T0 + 20), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_key_one_signs_at_once),
        cmocka_unit_test(the_next_is_published_more_than_an_hour_before_it_signs),
        cmocka_unit_test(of_two_that_sign_the_later_one_does),
    };

    return RUN_TESTS(tests);
}
