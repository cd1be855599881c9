/* Bit sets of different lengths behave as sets; compared with the plainest model there is. */

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/bitmap.h"
#include "libcommon/base/id.h"
#include "tests/support/test.h"

#define MODEL 700

static void a_bit_past_the_end_reads_as_zero(void **state)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap b;

    (void)state;
    rk_bitmap_init(&b);
    assert_false(rk_bitmap_test(&b, 0));
    assert_false(rk_bitmap_test(&b, SIZE_MAX));
    rk_bitmap_unset(&b, 100000);
    assert_int_equal(b.words, 0);
    assert_true(rk_bitmap_empty(&b));
    assert_true(rk_bitmap_next(&b, 0) == SIZE_MAX);
    rk_bitmap_set(&b, 63);
    rk_bitmap_set(&b, 64);
    assert_true(rk_bitmap_test(&b, 63) && rk_bitmap_test(&b, 64));
    assert_false(rk_bitmap_test(&b, 62) || rk_bitmap_test(&b, 65));
    assert_int_equal(rk_bitmap_count(&b), 2);
    assert_int_equal(rk_bitmap_next(&b, 0), 63);
    assert_int_equal(rk_bitmap_next(&b, 64), 64);
    assert_true(rk_bitmap_next(&b, 65) == SIZE_MAX);
}

static void length_does_not_count_in_a_comparison(void **state)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap a, b;

    (void)state;
    rk_bitmap_init(&a);
    rk_bitmap_init(&b);
    assert_true(rk_bitmap_equal(&a, &b));
    rk_bitmap_set(&a, 3);
    rk_bitmap_set(&b, 3);
    rk_bitmap_set(&b, 5000);
    assert_false(rk_bitmap_equal(&a, &b));
    assert_false(rk_bitmap_equal(&b, &a));
    rk_bitmap_unset(&b, 5000);
    assert_true(rk_bitmap_equal(&a, &b));
    assert_true(rk_bitmap_equal(&b, &a));
    rk_bitmap_set(&b, 5000);
    rk_bitmap_copy(&b, &a);
    assert_true(rk_bitmap_equal(&a, &b));
    rk_bitmap_clear(&b);
    assert_true(rk_bitmap_empty(&b));
    rk_bitmap_copy(&a, &b);
    assert_true(rk_bitmap_empty(&a));
}

/* A random set of random length, and the same as an array. */
static void fill(struct rk_bitmap *b, bool model[MODEL])
{
    size_t top = (size_t)rk_random_below(MODEL) + 1, n = (size_t)rk_random_below(60);

    rk_bitmap_init(b);
    memset(model, 0, MODEL * sizeof(*model));
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)rk_random_below(top);

        rk_bitmap_set(b, at);
        model[at] = true;
    }
}

static void check(const struct rk_bitmap *b, const bool model[MODEL])
{
    size_t count = 0, next = 0;

    for (size_t i = 0; i < MODEL; i++) {
        assert_int_equal(rk_bitmap_test(b, i), model[i]);
        if (!model[i])
            continue;
        count++;
        next = rk_bitmap_next(b, next);
        assert_int_equal(next, i);
        next++;
    }
    assert_true(rk_bitmap_next(b, next) == SIZE_MAX);
    assert_int_equal(rk_bitmap_count(b), count);
    assert_int_equal(rk_bitmap_empty(b), count == 0);
}

static void operations_agree_with_a_plain_model(void **state)
{
    static bool x[MODEL], y[MODEL], want[MODEL];

    (void)state;
    for (int round = 0; round < 400; round++) {
        struct rk_bitmap a, b;

        fill(&a, x);
        fill(&b, y);
        for (size_t i = 0; i < MODEL; i++) {
            switch (round % 4) {
            case 0:
                want[i] = x[i] || y[i];
                break;
            case 1:
                want[i] = x[i] && y[i];
                break;
            case 2:
                want[i] = x[i] && !y[i];
                break;
            case 3:
                want[i] = x[i] != y[i];
                break;
            }
        }
        if (round % 4 == 0)
            rk_bitmap_or(&a, &b);
        else if (round % 4 == 1)
            rk_bitmap_and(&a, &b);
        else if (round % 4 == 2)
            rk_bitmap_andnot(&a, &b);
        else
            rk_bitmap_xor(&a, &b);
        check(&a, want);
        check(&b, y); /* the right side is only read */
        rk_bitmap_done(&a);
        rk_bitmap_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bit_past_the_end_reads_as_zero),
        cmocka_unit_test(length_does_not_count_in_a_comparison),
        cmocka_unit_test(operations_agree_with_a_plain_model),
    };

    return RUN_TESTS(tests);
}
