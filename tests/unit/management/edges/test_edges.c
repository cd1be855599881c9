/* When a lease that has run out means something, and when to look. */

#include "tests/support/test.h"

#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "services/management/edges/edges.h"

static struct rk_edge_rows *leases(size_t n, const int64_t *left_ms)
{
    struct rk_edge_rows *rows = rk_zalloc(sizeof(*rows) + n * sizeof(rows->row[0]));

    rows->n = n;
    for (size_t i = 0; i < n; i++)
        rows->row[i].left_ms = left_ms[i];
    return rows;
}
#define LEASES(...)                                                                                \
    leases(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), (int64_t[]){ __VA_ARGS__ })

static void it_looks_when_the_next_lease_runs_out(void **state)
{
    rk_auto(rk_edge_rows_free) struct rk_edge_rows *some = LEASES(7000, 3000, -90000),
                                                   *soon = LEASES(1), *none = LEASES(-1, -2);

    (void)state;
    assert_int_equal(edges_sleep(some), 3000);
    assert_in_range(edges_sleep(soon), 100, 1000); /* not at every turn */
    assert_true(edges_sleep(none) > 10000);
}

static void silence_is_nobodys_when_all_share_it(void **state)
{
    rk_auto(rk_edge_rows_free) struct rk_edge_rows *one = LEASES(RK_EDGE_LEASE_MS - 100, -5000),
                                                   *all = LEASES(1000, -5000),
                                                   *nobody = leases(0, NULL);

    (void)state;
    assert_false(edges_silent(one));
    assert_true(edges_silent(all));
    assert_true(edges_silent(nobody));
}

static void a_lease_that_ran_out_is_the_end_unless_nobody_could_renew(void **state)
{
    struct rk_edge_row row = { .left_ms = 1 };

    (void)state;
    assert_int_equal(edges_state(&row, false, false), EDGE_FIT);
    row.left_ms = 0;
    assert_int_equal(edges_state(&row, false, false), EDGE_OUT);
    assert_int_equal(edges_state(&row, true, false), EDGE_FIT);
    assert_int_equal(edges_state(&row, true, true), EDGE_OUT); /* it was gone before */
    row.crowded = true;
    assert_int_equal(edges_state(&row, true, false), EDGE_CROWDED);
    row.left_ms = 5000;
    row.drained = true;
    assert_int_equal(edges_state(&row, true, false), EDGE_OUT);
    row.drained = false;
    row.leaving = true;
    assert_int_equal(edges_state(&row, true, false), EDGE_OUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_looks_when_the_next_lease_runs_out),
        cmocka_unit_test(silence_is_nobodys_when_all_share_it),
        cmocka_unit_test(a_lease_that_ran_out_is_the_end_unless_nobody_could_renew),
    };

    return RUN_TESTS(tests);
}
