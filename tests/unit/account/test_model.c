#include "tests/support/test.h"

/* Ownership of rows and deltas; the sanitizer run is what makes these say something. */

#include "tests/support/account_rows.h"

static void a_row_lives_until_its_last_reference_goes(void **state)
{
    struct rk_peer_row *p = rows_peer("A", 1), *again = rk_peer_row_ref(p);

    (void)state;
    assert_ptr_equal(p, again);
    rk_peer_row_unref(p);
    assert_string_equal(again->dns_label, "a");
    rk_peer_row_unref(again);
    rk_peer_row_unref(NULL);
    rk_account_row_unref(NULL);
    rk_group_row_unref(NULL);
    rk_policy_row_unref(NULL);
}

static void a_half_built_row_can_be_given_up(void **state)
{
    (void)state;
    rk_peer_row_unref(rk_peer_row_new());
    rk_account_row_unref(rk_account_row_new());
    rk_group_row_unref(rk_group_row_new());
    rk_policy_row_unref(rk_policy_row_new());
    rk_delta_free(NULL);
}

static void a_delta_owns_the_rows_of_every_kind_in_it(void **state)
{
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 5);
    struct rk_policy_row *p = rows_policy("pol");
    struct rk_rule *r = rows_rule(p, RK_PROTO_TCP, true);

    (void)state;
    rows_source(r, "g");
    rows_destination(r, "g");
    rows_port(r, "80");
    rows_range(r, 1, 2);
    rows_add_account(d, rows_account());
    rows_add_group(d, rows_group("g", "All"));
    rows_add_policy(d, p);
    for (unsigned i = 0; i < 20; i++)
        rows_add_peer(d, rows_peer("A", i));
    rows_add_membership(d, "g", "A", true);
    assert_int_equal(d->n, 24);
    assert_int_equal(d->serial, 5);
    assert_string_equal(d->account_id, ROWS_ACCOUNT);
    assert_true(d->committed_at_us == INT64_MIN);
    rk_delta_free(d);
}

static void an_account_id_that_does_not_fit_becomes_empty_not_another_one(void **state)
{
    struct rk_delta *d = rk_delta_new("123456789012345678901", 1);

    (void)state;
    assert_string_equal(d->account_id, "");
    rk_delta_free(d);
}

static void every_kind_of_object_row_is_counted_and_owned_by_its_delta(void **state)
{
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 1);
    struct rk_row *kept;

    (void)state;
    for (int kind = RK_OBJ_FIRST_ROW; kind < RK_OBJ_COUNT; kind++) {
        const char *id = "auth0|a-user-id-that-is-longer-than-any-of-ours";
        struct rk_delta_item *it = rk_delta_add(d, (enum rk_object_kind)kind, id);

        it->present = true;
        it->row.object = rk_row_new((enum rk_object_kind)kind, id);
        assert_string_equal(it->id, id);
        assert_string_equal(it->row.object->id, id);
    }
    kept = rk_row_ref(d->items[0].row.object);
    rk_delta_free(d);
    assert_int_equal(kept->kind, RK_OBJ_FIRST_ROW);
    rk_row_unref(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_lives_until_its_last_reference_goes),
        cmocka_unit_test(a_half_built_row_can_be_given_up),
        cmocka_unit_test(a_delta_owns_the_rows_of_every_kind_in_it),
        cmocka_unit_test(an_account_id_that_does_not_fit_becomes_empty_not_another_one),
        cmocka_unit_test(every_kind_of_object_row_is_counted_and_owned_by_its_delta),
    };

    return RUN_TESTS(tests);
}
