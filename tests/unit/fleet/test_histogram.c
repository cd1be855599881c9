/* Bins, shares of known values, merging, and the file that other tools read. */

#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/fleet/histogram.h"

static struct histogram a, b;

static void small_values_are_exact_and_large_ones_to_a_part_in_128(void **state)
{
    (void)state;
    for (uint64_t us = 1; us < UINT64_C(1) << 36; us = us * 5 / 4 + 1) {
        uint64_t got;

        histogram_clear(&a);
        histogram_add(&a, us);
        histogram_add(&a, us * 4); /* so that the largest does not bound it */
        got = histogram_at(&a, 0.5);
        assert_true(got >= us);
        assert_true(got - us <= us / 128);
        assert_true(us >= 128 || got == us);
    }
}

static void shares_are_those_of_the_values(void **state)
{
    (void)state;
    histogram_clear(&a);
    assert_int_equal(histogram_at(&a, 0.5), 0);
    for (uint64_t us = 1; us <= 100; us++)
        histogram_add(&a, us);
    assert_int_equal(histogram_at(&a, 0.5), 50);
    assert_int_equal(histogram_at(&a, 0.99), 99);
    assert_int_equal(histogram_at(&a, 1), 100);
    assert_int_equal(histogram_at(&a, 0), 1);
    assert_int_equal(a.min_us, 1);
    assert_int_equal(a.max_us, 100);
    assert_true(histogram_mean(&a) == 50.5);
}

static void what_is_too_long_counts_as_the_longest(void **state)
{
    (void)state;
    histogram_clear(&a);
    histogram_add(&a, UINT64_MAX);
    assert_int_equal(a.count, 1);
    assert_true(histogram_at(&a, 1) > UINT64_C(19) * 3600 * 1000000);
}

static void merging_is_adding_all_of_both(void **state)
{
    (void)state;
    histogram_clear(&a);
    histogram_clear(&b);
    histogram_merge(&a, &b);
    assert_int_equal(a.count, 0);
    histogram_add(&b, 7);
    histogram_add(&b, 9);
    histogram_merge(&a, &b);
    assert_int_equal(a.min_us, 7);
    histogram_clear(&b);
    histogram_add(&b, 3);
    histogram_merge(&a, &b);
    assert_int_equal(a.count, 3);
    assert_int_equal(a.min_us, 3);
    assert_int_equal(a.max_us, 9);
    assert_int_equal(histogram_at(&a, 0.5), 7);
}

static void the_file_rises_to_all_of_them(void **state)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    (void)state;
    histogram_clear(&a);
    histogram_add(&a, 1000);
    histogram_add(&a, 2000);
    histogram_add(&a, 2000);
    histogram_add(&a, 4000);
    histogram_write(&a, f);
    (void)fclose(f);
    assert_non_null(strstr(text, " 0.250000000000          1           1.33\n"));
    assert_non_null(strstr(text, " 0.750000000000          3           4.00\n"));
    assert_non_null(strstr(text, "       4.000 1.000000000000          4\n"));
    assert_non_null(strstr(text, "Total count = 4]"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_values_are_exact_and_large_ones_to_a_part_in_128),
        cmocka_unit_test(shares_are_those_of_the_values),
        cmocka_unit_test(what_is_too_long_counts_as_the_longest),
        cmocka_unit_test(merging_is_adding_all_of_both),
        cmocka_unit_test(the_file_rises_to_all_of_them),
    };

    return RUN_TESTS(tests);
}
