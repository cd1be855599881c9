/* Peers that have called, as long as their accounts have them. */

#include "tests/support/test.h"

#include "services/management/app.h"
#include "services/management/rpc/known.h"
#include "tests/support/account_rows.h"

static struct rk_snapshot *three_peers(void)
{
    struct rk_delta *d = rows_full(1);

    rows_add_account(d, rows_account());
    rows_add_peer(d, rows_peer("a", 1));
    rows_add_peer(d, rows_peer("b", 2));
    rows_add_peer(d, rows_peer("c", 3));
    return rows_apply(NULL, d);
}

static const uint8_t *key_of(const struct rk_snapshot *s, const char *id)
{
    return rk_snapshot_peer(s, rk_snapshot_find_id(s, rk_str(id)))->key;
}

static void meet(struct app *app, const struct rk_snapshot *s, const char *id)
{
    const struct rk_box box = { 0 };

    known_put(app, key_of(s, id), rk_snapshot_account(s)->id, &box);
}

static void who_goes_is_forgotten_and_nobody_else(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *was = three_peers(), *now = NULL;
    struct app app = { .known = rk_map_new() };
    struct rk_delta *d = rk_delta_new(rk_snapshot_account(was)->id, 2);

    (void)state;
    meet(&app, was, "a");
    meet(&app, was, "b");
    rk_delta_add(d, RK_OBJ_PEER, "a");
    rk_delta_add(d, RK_OBJ_PEER, "c");       /* who never called */
    rk_delta_add(d, RK_OBJ_PEER, "nowhere"); /* who came and went in between */
    now = rk_snapshot_apply(was, d);
    known_follow(&app, was, now, d);
    assert_null(known_find(&app, key_of(was, "a")));
    assert_non_null(known_find(&app, key_of(was, "b")));
    rk_delta_free(d);
    known_drop_all(&app);
}

static void what_is_loaded_anew_keeps_those_it_has(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *was = three_peers(), *now = NULL;
    struct app app = { .known = rk_map_new() };
    struct rk_delta *d = rows_full(9);

    (void)state;
    meet(&app, was, "a");
    meet(&app, was, "b");
    meet(&app, was, "c");
    rows_add_account(d, rows_account());
    rows_add_peer(d, rows_peer("b", 2));
    now = rk_snapshot_apply(was, d);
    known_follow(&app, was, now, d);
    assert_int_equal(rk_map_count(app.known), 1);
    assert_non_null(known_find(&app, key_of(was, "b")));
    rk_delta_free(d);
    known_drop_all(&app);
}

static void an_account_that_is_let_go_takes_its_own_along(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *was = three_peers();
    struct app app = { .known = rk_map_new() };
    const char other[RK_XID_LEN + 1] = "other";
    const struct rk_box box = { 0 };

    (void)state;
    meet(&app, was, "a");
    meet(&app, was, "b");
    known_put(&app, key_of(was, "b"), other, &box); /* it has moved */
    known_follow(&app, NULL, was, NULL);            /* the first load */
    assert_int_equal(rk_map_count(app.known), 2);
    known_follow(&app, was, NULL, NULL);
    assert_int_equal(rk_map_count(app.known), 1);
    assert_string_equal(known_find(&app, key_of(was, "b"))->account_id, other);
    known_drop_all(&app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_goes_is_forgotten_and_nobody_else),
        cmocka_unit_test(what_is_loaded_anew_keeps_those_it_has),
        cmocka_unit_test(an_account_that_is_let_go_takes_its_own_along),
    };

    return RUN_TESTS(tests);
}
