/* Whose maps are made one after the other. */

#include "tests/support/test.h"

#include <stdio.h>

#include "libcommon/account/snapshot/int.h"
#include "tests/support/account_rows.h"

#define PEERS 30
#define TEAMS 3

/* Everybody in one group, peer n in team n % TEAMS, the first two in a pair. */
static struct rk_snapshot *teams(void)
{
    struct rk_delta *d = rows_full(1);
    struct rk_group_row *all = rows_group("all", "All"), *pair = rows_group("pair", "Pair");
    struct rk_group_row *team[TEAMS] = { rows_group("t0", "0"), rows_group("t1", "1"),
                                         rows_group("t2", "2") };

    rows_add_account(d, rows_account());
    for (unsigned n = 0; n < PEERS; n++) {
        char id[8];

        (void)snprintf(id, sizeof(id), "p%02u", n);
        rows_add_peer(d, rows_peer(id, n + 1));
        rows_member(all, id);
        rows_member(team[n % TEAMS], id);
        if (n < 2)
            rows_member(pair, id);
    }
    rows_add_group(d, all);
    rows_add_group(d, pair);
    for (size_t i = 0; i < TEAMS; i++)
        rows_add_group(d, team[i]);
    return rows_apply(NULL, d);
}

static void members_of_the_smallest_group_stand_side_by_side(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = teams();
    rk_auto(rk_bitmap_done) struct rk_bitmap found;
    uint32_t kin[PEERS];
    unsigned changes = 0;

    (void)state;
    rk_bitmap_init(&found);
    rk_snapshot_kin(s, &s->used, kin);
    for (size_t i = 0; i < PEERS; i++)
        rk_bitmap_set(&found, kin[i]);
    assert_true(rk_bitmap_equal(&found, &s->used)); /* each once */
    assert_int_equal(kin[0] + kin[1], 0 + 1);
    for (size_t i = 3; i < PEERS; i++)
        changes += kin[i] % TEAMS != kin[i - 1] % TEAMS;
    assert_int_equal(changes, TEAMS - 1);
}

static void who_is_not_in_the_set_is_left_out(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = teams();
    rk_auto(rk_bitmap_done) struct rk_bitmap set, found;
    uint32_t kin[PEERS];

    (void)state;
    rk_bitmap_init(&set);
    rk_bitmap_init(&found);
    for (size_t n = 1; n <= PEERS; n++) { /* few, and many */
        rk_bitmap_clear(&set);
        rk_bitmap_clear(&found);
        for (size_t i = 0; i < n; i++)
            rk_bitmap_set(&set, PEERS - 1 - i);
        memset(kin, 0, sizeof(kin));
        rk_snapshot_kin(s, &set, kin);
        for (size_t i = 0; i < n; i++)
            rk_bitmap_set(&found, kin[i]);
        assert_true(rk_bitmap_equal(&found, &set));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_of_the_smallest_group_stand_side_by_side),
        cmocka_unit_test(who_is_not_in_the_set_is_left_out),
    };

    return RUN_TESTS(tests);
}
