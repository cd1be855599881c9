#include "tests/support/test.h"

/* Who the active users are, and in which groups. */

#include "libcommon/account/snapshot/users.h"
#include "tests/support/account_rows.h"

static struct rk_row *user(const char *id, bool active, const char *group, const char *other)
{
    struct rk_user_row *u = (struct rk_user_row *)rk_row_new(RK_OBJ_USER, id);

    u->active = active;
    if (group)
        rows_ids_add(&u->auto_groups.v, &u->auto_groups.n, group);
    if (other)
        rows_ids_add(&u->auto_groups.v, &u->auto_groups.n, other);
    return &u->row;
}

/* Takes the rows. */
static struct snap_users *
users_of(struct rk_row *a, struct rk_row *b, struct rk_row *c, const struct snap_users *was)
{
    struct rk_delta *d = rows_full(1);
    struct snap_rows rows = { NULL, 0 };
    struct snap_users *u;

    rows_add_object(d, a);
    if (b)
        rows_add_object(d, b);
    if (c)
        rows_add_object(d, c);
    (void)snap_rows_apply(&rows, d, RK_OBJ_USER);
    u = snap_users_new(&rows, was);
    snap_rows_done(&rows);
    rk_delta_free(d);
    return u;
}

static void only_active_users_are_there_with_their_groups(void **state)
{
    struct snap_users *u =
        users_of(user("bob", true, "gDev", "gOps"), user("eve", false, "gDev", NULL),
                 user("alice", true, "gDev", "gDev"), NULL);
    const struct snap_usergroup *g;

    (void)state;
    assert_int_equal(u->n, 2);
    assert_int_equal(snap_user_find(u, "alice"), 0);
    assert_int_equal(snap_user_find(u, "bob"), 1);
    assert_int_equal(snap_user_find(u, "eve"), SNAP_NO_USER);
    g = snap_usergroup_find(u, "gDev");
    assert_int_equal(g->n, 2); /* a group named twice holds its user once */
    assert_int_equal(g->users[0], 0);
    assert_int_equal(g->users[1], 1);
    assert_int_equal(snap_usergroup_find(u, "gOps")->n, 1);
    assert_null(snap_usergroup_find(u, "gNone"));
    snap_users_unref(u);
}

static void a_user_is_known_by_the_blake2b_of_the_id(void **state)
{
    struct snap_users *u = users_of(user("a", true, NULL, NULL), NULL, NULL, NULL), *next;
    char hex[2 * SNAP_USER_HASH + 1];

    (void)state;
    rk_hex_encode(u->v[0].hash, SNAP_USER_HASH, hex);
    assert_string_equal(hex, "27c35e6e9373877f29e562464e46497e");
    next = users_of(user("0", true, NULL, NULL), user("a", true, "g", NULL),
                    user("b", true, NULL, NULL), u);
    assert_int_equal(next->n, 3);
    assert_memory_equal(next->v[1].hash, u->v[0].hash, SNAP_USER_HASH);
    assert_memory_not_equal(next->v[2].hash, u->v[0].hash, SNAP_USER_HASH);
    snap_users_unref(next);
    snap_users_unref(u);
}

static void people_and_groups_compare_by_who_is_in_them(void **state)
{
    struct snap_users *u =
        users_of(user("a", true, "g", NULL), user("b", true, "h", NULL), NULL, NULL);
    struct snap_users *v = users_of(user("a", true, "g", "h"), user("b", true, "h", NULL), NULL, u);
    struct snap_users *w = users_of(user("0", true, NULL, NULL), user("a", true, "g", NULL),
                                    user("b", true, "h", NULL), u);

    (void)state;
    assert_true(snap_users_same(u, v));
    assert_false(snap_users_same(u, w));
    assert_true(snap_usergroup_same(u, v, "g"));
    assert_false(snap_usergroup_same(u, v, "h"));
    assert_true(snap_usergroup_same(u, w, "g")); /* numbers moved, people did not */
    assert_true(snap_usergroup_same(u, w, "none"));
    snap_users_unref(u);
    snap_users_unref(v);
    snap_users_unref(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_active_users_are_there_with_their_groups),
        cmocka_unit_test(a_user_is_known_by_the_blake2b_of_the_id),
        cmocka_unit_test(people_and_groups_compare_by_who_is_in_them),
    };

    return RUN_TESTS(tests);
}
