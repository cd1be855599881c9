/* Identifiers: form, order, and that they do not repeat. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"
#include "tests/support/test.h"

#define THREADS 4
#define EACH 5000

static char made[THREADS][EACH][RK_XID_LEN + 1];

static void *make(void *arg)
{
    char(*out)[RK_XID_LEN + 1] = arg;

    for (int i = 0; i < EACH; i++)
        rk_xid_new(out[i]);
    return NULL;
}

static int by_text(const void *a, const void *b)
{
    return memcmp(a, b, RK_XID_LEN);
}

static void xids_of_several_threads_are_valid_and_unique(void **state)
{
    pthread_t t[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, make, made[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    qsort(made, (size_t)THREADS * EACH, RK_XID_LEN + 1, by_text);
    for (int i = 0; i < THREADS * EACH; i++) {
        const char *id = made[0][0] + (size_t)i * (RK_XID_LEN + 1);

        assert_true(rk_xid_valid(rk_str(id)));
        assert_true(i == 0 || memcmp(id, id - (RK_XID_LEN + 1), RK_XID_LEN) != 0);
    }
}

static void what_is_no_xid_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "9m4e2mr0ui3e8a215n4",   /* short */
        "9m4e2mr0ui3e8a215n4gg", /* long */
        "9M4E2MR0UI3E8A215N4G",  /* upper case */
        "9m4e2mr0ui3e8a215n4w",  /* w is no digit of it */
        "9m4e2mr0ui3e8a215n41",  /* a last digit that carries more than 96 bits */
        "9m4e2mr0ui3e8a215n4 ",
    };

    (void)state;
    assert_true(rk_xid_valid(RK_STR("9m4e2mr0ui3e8a215n4g")));
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(rk_xid_valid(rk_str(bad[i])));
}

static void uuids_are_of_version_four(void **state)
{
    char a[RK_UUID_LEN + 1], b[RK_UUID_LEN + 1];

    (void)state;
    for (int i = 0; i < 200; i++) {
        rk_uuid_new(a);
        rk_uuid_new(b);
        assert_true(rk_uuid_valid(rk_str(a)));
        assert_int_equal(a[14], '4');
        assert_non_null(strchr("89ab", a[19]));
        assert_string_not_equal(a, b);
    }
}

static void what_is_no_uuid_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "DF699CA7E50B4B17B14AC726B3126B47",
        "DF699CA7-E50B-4B17-B14A-C726B3126B4",
        "DF699CA7-E50B-4B17-B14A-C726B3126B477",
        "DF699CA7-E50B-4B17-B14A-C726B3126B4G",
        "DF699CA7-E50B-4B17-B14AC-726B3126B47",
        "{F699CA7-E50B-4B17-B14A-C726B3126B4}",
    };

    (void)state;
    assert_true(rk_uuid_valid(RK_STR("DF699CA7-E50B-4B17-B14A-c726b3126b47")));
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_false(rk_uuid_valid(rk_str(bad[i])));
}

static void random_numbers_stay_below_their_bound_and_reach_all_of_it(void **state)
{
    unsigned seen[7] = { 0 };

    (void)state;
    for (int i = 0; i < 7000; i++) {
        uint64_t v = rk_random_below(7);

        assert_true(v < 7);
        seen[v]++;
    }
    for (size_t i = 0; i < RK_COUNT(seen); i++)
        assert_in_range(seen[i], 700, 1300); /* nine standard deviations */
    assert_int_equal(rk_random_below(1), 0);
    (void)rk_random_below(UINT64_MAX);
    rk_random(NULL, 0);
}

static void a_random_text_is_256_bits_that_do_not_come_again(void **state)
{
    char a[RK_RANDOM_TEXT_LEN + 1], b[RK_RANDOM_TEXT_LEN + 1];
    uint8_t bytes[32];
    size_t n;

    (void)state;
    rk_random_text(a);
    rk_random_text(b);
    assert_true(rk_b64url_decode(rk_str(a), bytes, sizeof(bytes), &n));
    assert_int_equal(n, sizeof(bytes));
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xids_of_several_threads_are_valid_and_unique),
        cmocka_unit_test(what_is_no_xid_is_refused),
        cmocka_unit_test(uuids_are_of_version_four),
        cmocka_unit_test(what_is_no_uuid_is_refused),
        cmocka_unit_test(random_numbers_stay_below_their_bound_and_reach_all_of_it),
        cmocka_unit_test(a_random_text_is_256_bits_that_do_not_come_again),
    };

    return RUN_TESTS(tests);
}
