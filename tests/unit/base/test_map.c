/* The hash map against a plain model, and what is particular to it: borrowed keys, deletion during
 * a walk. */

#include <stdio.h>
#include <string.h>

#include "libcommon/base/id.h"
#include "libcommon/base/map.h"
#include "tests/support/test.h"

#define KEYS 300

static char keys[KEYS][16];

static void make_keys(void)
{
    for (int i = 0; i < KEYS; i++)
        (void)snprintf(keys[i], sizeof(keys[i]), "k%d", i);
}

static void random_lives_agree_with_a_plain_model(void **state)
{
    rk_auto(rk_map_free) struct rk_map *m = rk_map_new();
    void *model[KEYS] = { 0 };
    size_t count = 0;

    (void)state;
    make_keys();
    for (int step = 0; step < 60000; step++) {
        /* Waves of growth and of shrinking, so that tombstones and rebuilds both occur. */
        bool growing = step / 2000 % 2 == 0;
        size_t i = (size_t)rk_random_below(KEYS);
        void *value = &model[rk_random_below(KEYS)];

        if (rk_random_below(4) < (growing ? 3u : 1u)) {
            assert_ptr_equal(rk_map_put(m, rk_str(keys[i]), value), model[i]);
            count += !model[i];
            model[i] = value;
        } else {
            assert_ptr_equal(rk_map_del(m, rk_str(keys[i])), model[i]);
            count -= model[i] != NULL;
            model[i] = NULL;
        }
        assert_int_equal(rk_map_count(m), count);
        i = (size_t)rk_random_below(KEYS);
        assert_ptr_equal(rk_map_get(m, rk_str(keys[i])), model[i]);
    }
}

static void a_walk_meets_every_entry_once_and_may_delete_it(void **state)
{
    rk_auto(rk_map_free) struct rk_map *m = rk_map_new();
    unsigned met[KEYS] = { 0 };
    size_t it = 0;
    void *value;

    (void)state;
    make_keys();
    for (int i = 0; i < KEYS; i++)
        assert_null(rk_map_put(m, rk_str(keys[i]), keys[i]));
    while (rk_map_each(m, &it, &value)) {
        size_t i = (size_t)((char(*)[16])value - keys);

        met[i]++;
        if (i % 2 == 0)
            assert_ptr_equal(rk_map_del(m, rk_str(keys[i])), keys[i]);
    }
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(met[i], 1);
    assert_int_equal(rk_map_count(m), KEYS / 2);
    it = 0;
    while (rk_map_each(m, &it, &value))
        assert_int_equal((size_t)((char(*)[16])value - keys) % 2, 1);
}

static void keys_are_bytes_and_borrowed(void **state)
{
    rk_auto(rk_map_free) struct rk_map *m = rk_map_new();
    char one[] = "same", two[] = "same";
    int a, b, c;

    (void)state;
    assert_null(rk_map_get(m, RK_STR("x"))); /* empty, without any memory yet */
    assert_null(rk_map_del(m, RK_STR("x")));
    assert_null(rk_map_put(m, rk_str(one), &a));
    assert_ptr_equal(rk_map_put(m, rk_str(two), &b), &a);
    one[0] = 'X'; /* the replaced entry's key may go */
    assert_ptr_equal(rk_map_get(m, RK_STR("same")), &b);
    assert_null(rk_map_put(m, RK_STR("a\0b"), &c));
    assert_null(rk_map_get(m, RK_STR("a\0c")));
    assert_null(rk_map_get(m, RK_STR("a")));
    assert_null(rk_map_put(m, rk_strn(NULL, 0), &a));
    assert_ptr_equal(rk_map_get(m, RK_STR("")), &a);
    assert_int_equal(rk_map_count(m), 3);
}

static void churn_of_a_single_entry_does_not_wear_the_map_out(void **state)
{
    rk_auto(rk_map_free) struct rk_map *m = rk_map_new();
    char key[16];
    int value;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        assert_null(rk_map_put(m, rk_str(key), &value));
        assert_ptr_equal(rk_map_get(m, rk_str(key)), &value);
        assert_ptr_equal(rk_map_del(m, rk_str(key)), &value);
        assert_null(rk_map_get(m, rk_str(key)));
    }
    assert_int_equal(rk_map_count(m), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lives_agree_with_a_plain_model),
        cmocka_unit_test(a_walk_meets_every_entry_once_and_may_delete_it),
        cmocka_unit_test(keys_are_bytes_and_borrowed),
        cmocka_unit_test(churn_of_a_single_entry_does_not_wear_the_map_out),
    };

    return RUN_TESTS(tests);
}
