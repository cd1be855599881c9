#include "tests/support/test.h"

/* Who gets a new map, case by case. */

#include <stdio.h>

#include "tests/support/account_rows.h"

/*
 * Peers c1 c2 (group gC) talk to s1 s2 (group gS) by policy pol; x is in group gX, which no policy
 * names; all are in gAll, which no policy names either.
 */
static struct rk_policy_row *clients_to_servers(const char *port)
{
    struct rk_policy_row *p = rows_policy("pol");
    struct rk_rule *r = rows_rule(p, RK_PROTO_TCP, false);

    rows_source(r, "gC");
    rows_destination(r, "gS");
    rows_port(r, port);
    return p;
}

static struct rk_snapshot *start(void)
{
    static const char *const peers[] = { "c1", "c2", "s1", "s2", "x" };
    struct rk_delta *d = rows_full(1);
    struct rk_group_row *c = rows_group("gC", "gC"), *s = rows_group("gS", "gS"),
                        *x = rows_group("gX", "gX");

    rows_add_account(d, rows_account());
    for (unsigned i = 0; i < RK_COUNT(peers); i++)
        rows_add_peer(d, rows_peer(peers[i], i + 1));
    rows_member(c, "c1");
    rows_member(c, "c2");
    rows_member(s, "s1");
    rows_member(s, "s2");
    rows_member(x, "x");
    rows_add_group(d, c);
    rows_add_group(d, s);
    rows_add_group(d, x);
    rows_add_policy(d, clients_to_servers("80"));
    return rows_apply(NULL, d);
}

/* Applies the delta to a fresh start and compares the ids of the affected, separated by blanks, by
 * index. */
static void expect(struct rk_delta *d, const char *want)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *was = start(), *now = NULL;
    rk_auto(rk_bitmap_done) struct rk_bitmap hit;
    char got[256] = "";
    struct rk_buf b;

    rk_bitmap_init(&hit);
    rk_buf_init(&b, sizeof(got));
    now = rk_snapshot_apply(was, d);
    rk_snapshot_affected(was, now, &hit);
    for (size_t i = rk_bitmap_next(&hit, 0); i != SIZE_MAX; i = rk_bitmap_next(&hit, i + 1))
        rk_buf_printf(&b, b.n ? " %s" : "%s", rk_snapshot_peer(now, i)->id);
    assert_true(rk_str_copy(rk_buf_str(&b), got, sizeof(got)));
    rk_buf_done(&b);
    rk_delta_free(d);
    assert_string_equal(got, want);
}

static struct rk_delta *delta(void)
{
    return rk_delta_new(ROWS_ACCOUNT, 2);
}

static void a_peer_that_leaves_a_group_wakes_itself_and_the_opposite_side(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    rows_add_membership(d, "gC", "c1", false);
    expect(d, "c1 s1 s2");
}

static void a_peer_that_joins_a_group_wakes_itself_and_the_opposite_side(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    rows_add_membership(d, "gS", "x", true);
    expect(d, "c1 c2 x");
}

static void a_change_in_an_unrelated_group_affects_nobody(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    rows_add_membership(d, "gX", "c1", true);
    rows_add_membership(d, "gX", "x", false);
    expect(d, "");
    d = delta();
    (void)rk_delta_add(d, RK_OBJ_GROUP, "gX");
    expect(d, "");
}

static void a_renamed_group_affects_nobody(void **state)
{
    struct rk_delta *d = delta();
    struct rk_group_row *g = rows_group("gC", "renamed");

    (void)state;
    rows_member(g, "c1");
    rows_member(g, "c2");
    rows_add_group(d, g);
    expect(d, "");
}

static void a_policy_edited_or_deleted_wakes_both_sides(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    rows_add_policy(d, clients_to_servers("81"));
    expect(d, "c1 c2 s1 s2");
    d = delta();
    (void)rk_delta_add(d, RK_OBJ_POLICY, "pol");
    expect(d, "c1 c2 s1 s2");
}

static void a_policy_saved_unchanged_affects_nobody(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    rows_add_policy(d, clients_to_servers("80"));
    expect(d, "");
}

static void a_new_policy_between_groups_wakes_only_them_and_a_disabled_one_nobody(void **state)
{
    for (int enabled = 0; enabled < 2; enabled++) {
        struct rk_delta *d = delta();
        struct rk_policy_row *p = rows_policy("pol2");
        struct rk_rule *r = rows_rule(p, RK_PROTO_ALL, true);

        (void)state;
        rows_source(r, "gX");
        rows_destination(r, "gS");
        p->enabled = enabled;
        rows_add_policy(d, p);
        expect(d, enabled ? "s1 s2 x" : "");
    }
}

static void a_deleted_peer_wakes_those_who_saw_it(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    (void)rk_delta_add(d, RK_OBJ_PEER, "c1");
    expect(d, "s1 s2");
}

static void a_new_peer_without_links_wakes_only_itself(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    rows_add_peer(d, rows_peer("y", 9));
    expect(d, "y");
}

static void another_peer_on_a_freed_index_is_not_taken_for_the_old_one(void **state)
{
    struct rk_delta *d = delta();

    (void)state;
    (void)rk_delta_add(d, RK_OBJ_PEER, "c1");
    rows_add_peer(d, rows_peer("y", 9));
    rows_add_membership(d, "gC", "y", true);
    expect(d, "y s1 s2"); /* y has c1's index, and the sides' bits are as before */
}

static void what_others_see_of_a_peer_wakes_them_and_what_only_it_sees_does_not(void **state)
{
    struct rk_delta *d = delta();
    struct rk_peer_row *p = rows_peer("s1", 3);

    (void)state;
    rows_set(&p->version, "0.77.2");
    rows_add_peer(d, p);
    expect(d, "c1 c2 s1");
    d = delta();
    p = rows_peer("s1", 3);
    p->ssh_enabled = true;
    rows_add_peer(d, p);
    expect(d, "s1");
    d = delta();
    p = rows_peer("s1", 3);
    p->sync_message_version = 1;
    rows_set(&p->goos, "windows");
    rows_add_peer(d, p);
    expect(d, "");
}

static void a_flagged_or_unapproved_peer_wakes_those_who_see_it(void **state)
{
    struct rk_delta *d = delta();
    struct rk_peer_row *p = rows_peer("s1", 3);

    (void)state;
    p->login_expired = true;
    rows_add_peer(d, p);
    expect(d, "c1 c2 s1");
    d = delta();
    p = rows_peer("s1", 3);
    p->requires_approval = true;
    rows_add_peer(d, p);
    expect(d, "c1 c2 s1");
    d = delta();
    p = rows_peer("x", 5); /* seen by nobody: its own map alone becomes the empty one */
    p->requires_approval = true;
    rows_add_peer(d, p);
    expect(d, "x");
}

static void an_old_peer_changes_the_forwarder_port_of_everyone(void **state)
{
    struct rk_delta *d = delta();
    struct rk_peer_row *p = rows_peer("x", 5);

    (void)state;
    rows_set(&p->version, "0.58.0");
    rows_add_peer(d, p);
    expect(d, "c1 c2 s1 s2 x");
}

static void a_setting_of_every_map_wakes_everyone_and_metrics_nobody(void **state)
{
    struct rk_delta *d = delta();
    struct rk_account_row *a = rows_account();

    (void)state;
    a->lazy_connection_enabled = false;
    rows_add_account(d, a);
    expect(d, "c1 c2 s1 s2 x");
    d = delta();
    a = rows_account();
    a->metrics_push_enabled = true;
    rows_add_account(d, a);
    expect(d, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_leaves_a_group_wakes_itself_and_the_opposite_side),
        cmocka_unit_test(a_peer_that_joins_a_group_wakes_itself_and_the_opposite_side),
        cmocka_unit_test(a_change_in_an_unrelated_group_affects_nobody),
        cmocka_unit_test(a_renamed_group_affects_nobody),
        cmocka_unit_test(a_policy_edited_or_deleted_wakes_both_sides),
        cmocka_unit_test(a_policy_saved_unchanged_affects_nobody),
        cmocka_unit_test(a_new_policy_between_groups_wakes_only_them_and_a_disabled_one_nobody),
        cmocka_unit_test(a_deleted_peer_wakes_those_who_saw_it),
        cmocka_unit_test(a_new_peer_without_links_wakes_only_itself),
        cmocka_unit_test(another_peer_on_a_freed_index_is_not_taken_for_the_old_one),
        cmocka_unit_test(what_others_see_of_a_peer_wakes_them_and_what_only_it_sees_does_not),
        cmocka_unit_test(a_flagged_or_unapproved_peer_wakes_those_who_see_it),
        cmocka_unit_test(an_old_peer_changes_the_forwarder_port_of_everyone),
        cmocka_unit_test(a_setting_of_every_map_wakes_everyone_and_metrics_nobody),
    };

    return RUN_TESTS(tests);
}
