#include "tests/support/test.h"

#include <stdio.h>

#include "libcommon/account/compile/compile.h"
#include "libcommon/account/snapshot/int.h"
#include "tests/support/account_rows.h"

static struct rk_snapshot *three(void)
{
    struct rk_delta *d = rows_full(1);
    struct rk_group_row *g = rows_group("gAll", "All");
    struct rk_policy_row *p = rows_policy("pol");
    struct rk_rule *r = rows_rule(p, RK_PROTO_ALL, true);

    rows_add_account(d, rows_account());
    rows_add_peer(d, rows_peer("a", 1));
    rows_add_peer(d, rows_peer("b", 2));
    rows_add_peer(d, rows_peer("c", 3));
    rows_member(g, "a");
    rows_member(g, "b");
    rows_member(g, "c");
    rows_add_group(d, g);
    rows_source(r, "gAll");
    rows_destination(r, "gAll");
    rows_add_policy(d, p);
    return rows_apply(NULL, d);
}

static void indexes_stay_and_a_freed_one_is_used_again(void **state)
{
    struct rk_snapshot *s = three();
    size_t a = rk_snapshot_find_id(s, RK_STR("a")), b = rk_snapshot_find_id(s, RK_STR("b"));
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);

    (void)state;
    (void)rk_delta_add(d, RK_OBJ_PEER, "a");
    s = rows_apply(s, d);
    assert_int_equal(rk_snapshot_peers(s), 2);
    assert_true(rk_snapshot_find_id(s, RK_STR("a")) == RK_NO_PEER);
    assert_null(rk_snapshot_peer(s, a));
    assert_int_equal(rk_snapshot_find_id(s, RK_STR("b")), b);
    d = rk_delta_new(ROWS_ACCOUNT, 3);
    rows_add_peer(d, rows_peer("z", 4));
    s = rows_apply(s, d);
    assert_int_equal(rk_snapshot_find_id(s, RK_STR("z")), a);
    assert_int_equal(rk_snapshot_peers(s), 3);
    rk_snapshot_unref(s);
}

static void a_newcomer_on_a_used_index_inherits_no_group(void **state)
{
    struct rk_snapshot *s = three();
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);
    rk_auto(rk_bitmap_done) struct rk_bitmap seen;

    (void)state;
    (void)rk_delta_add(d, RK_OBJ_PEER, "a");
    rows_add_peer(d, rows_peer("z", 4));
    s = rows_apply(s, d);
    rk_bitmap_init(&seen);
    rk_snapshot_visible(s, rk_snapshot_find_id(s, RK_STR("z")), &seen);
    assert_true(rk_bitmap_empty(&seen));
    rk_snapshot_unref(s);
}

static void the_old_snapshot_does_not_notice_the_new_one(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *was = three();
    rk_auto(rk_buf_done) struct rk_buf before, after;
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);
    struct rk_account_row *acct = rows_account();

    (void)state;
    rk_buf_init(&before, 1 << 20);
    rk_buf_init(&after, 1 << 20);
    rk_compile_map(was, 0, 0, &before);
    rows_set(&acct->dns_domain, "other");
    rows_add_account(d, acct);
    (void)rk_delta_add(d, RK_OBJ_PEER, "b");
    rows_add_peer(d, rows_peer("y", 7));
    rows_add_membership(d, "gAll", "y", true);
    rows_add_membership(d, "gAll", "c", false);
    rk_snapshot_unref(rk_snapshot_apply(was, d));
    rk_delta_free(d);
    rk_compile_map(was, 0, 0, &after);
    assert_int_equal(before.n, after.n);
    assert_memory_equal(before.p, after.p, after.n);
}

static void peers_are_found_by_key_and_id_and_strangers_are_not(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = three();
    struct rk_peer_row *stranger = rows_peer("stranger", 9);

    (void)state;
    for (size_t i = 0; i < rk_snapshot_peer_bound(s); i++) {
        const struct rk_peer_row *p = rk_snapshot_peer(s, i);

        if (!p)
            continue;
        assert_int_equal(rk_snapshot_find_key(s, p->key), i);
        assert_int_equal(rk_snapshot_find_id(s, rk_str(p->id)), i);
    }
    assert_true(rk_snapshot_find_key(s, stranger->key) == RK_NO_PEER);
    assert_true(rk_snapshot_find_id(s, RK_STR("")) == RK_NO_PEER);
    assert_true(rk_snapshot_find_id(s, RK_STR("an id longer than any id can be")) == RK_NO_PEER);
    assert_null(rk_snapshot_peer(s, SIZE_MAX));
    rk_peer_row_unref(stranger);
}

static void unknown_references_are_ignored(void **state)
{
    struct rk_snapshot *s = three();
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);
    struct rk_policy_row *p = rows_policy("pol2");
    struct rk_rule *r = rows_rule(p, RK_PROTO_ALL, true);
    struct rk_group_row *g = rows_group("g2", "g2");
    rk_auto(rk_bitmap_done) struct rk_bitmap seen;

    (void)state;
    rows_source(r, "no such group");
    (void)rk_str_copy(RK_STR("no such peer"), r->destination_peer, sizeof(r->destination_peer));
    rows_add_policy(d, p);
    rows_member(g, "no such peer");
    rows_add_group(d, g);
    rows_add_membership(d, "no such group", "a", true);
    rows_add_membership(d, "gAll", "no such peer", true);
    (void)rk_delta_add(d, RK_OBJ_PEER, "no such peer");
    (void)rk_delta_add(d, RK_OBJ_GROUP, "no such group");
    (void)rk_delta_add(d, RK_OBJ_POLICY, "no such policy");
    s = rows_apply(s, d);
    assert_int_equal(rk_snapshot_peers(s), 3);
    rk_bitmap_init(&seen);
    rk_snapshot_visible(s, 0, &seen);
    assert_int_equal(rk_bitmap_count(&seen), 2);
    assert_false(rk_bitmap_test(&seen, 0));
    rk_snapshot_unref(s);
}

static void a_vanished_account_is_an_empty_one(void **state)
{
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;

    (void)state;
    d->account_gone = true;
    s = rows_apply(three(), d);
    assert_int_equal(rk_snapshot_peers(s), 0);
    assert_string_equal(rk_snapshot_account_id(s), ROWS_ACCOUNT);
    assert_non_null(rk_snapshot_account(s));
}

static void the_serial_never_goes_back(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = three();

    (void)state;
    s = rows_apply(rk_steal(s), rk_delta_new(ROWS_ACCOUNT, 9));
    assert_int_equal(rk_snapshot_serial(s), 9);
    s = rows_apply(rk_steal(s), rk_delta_new(ROWS_ACCOUNT, 4));
    assert_int_equal(rk_snapshot_serial(s), 9);
}

static void thousands_of_peers_come_and_go_in_any_order(void **state)
{
    struct rk_delta *d = rows_full(1);
    struct rk_snapshot *s;
    char id[RK_XID_LEN + 1];

    (void)state;
    rows_add_account(d, rows_account());
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(id, sizeof(id), "p%u", i * 7919 % 3000);
        rows_add_peer(d, rows_peer(id, i));
    }
    s = rows_apply(NULL, d);
    assert_int_equal(rk_snapshot_peers(s), 3000);
    d = rk_delta_new(ROWS_ACCOUNT, 2);
    for (unsigned i = 0; i < 3000; i += 2) {
        (void)snprintf(id, sizeof(id), "p%u", i);
        (void)rk_delta_add(d, RK_OBJ_PEER, id);
    }
    s = rows_apply(s, d);
    assert_int_equal(rk_snapshot_peers(s), 1500);
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(id, sizeof(id), "p%u", i);
        assert_int_equal(rk_snapshot_find_id(s, rk_str(id)) == RK_NO_PEER, i % 2 == 0);
    }
    rk_snapshot_unref(s);
}

static void what_did_not_change_is_shared_with_the_snapshot_before(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *was = NULL, *now = NULL;
    rk_auto(rk_delta_free) struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);
    struct rk_delta *first = rows_full(1);
    char id[RK_XID_LEN + 1];
    struct rk_peer_row *row;

    (void)state;
    rows_add_account(first, rows_account());
    for (unsigned i = 0; i < 4 * SNAP_PAGE; i++) {
        (void)snprintf(id, sizeof(id), "p%04u", i);
        rows_add_peer(first, rows_peer(id, i));
    }
    for (unsigned i = 0; i < 2; i++) {
        struct rk_group_row *g;
        struct rk_policy_row *p;

        (void)snprintf(id, sizeof(id), "g%u", i);
        g = rows_group(id, id);
        rows_member(g, i ? "p0001" : "p0000");
        rows_add_group(first, g);
        (void)snprintf(id, sizeof(id), "pol%u", i);
        p = rows_policy(id);
        rows_source(rows_rule(p, RK_PROTO_ALL, true), i ? "g1" : "g0");
        rows_destination(&p->rules[0], i ? "g1" : "g0");
        rows_add_policy(first, p);
    }
    was = rows_apply(NULL, first);
    row = rows_peer("p0070", 70);
    rows_set(&row->version, "0.77.2");
    rows_add_peer(d, row);
    rows_add_membership(d, "g1", "p0200", true);
    now = rk_snapshot_apply(was, d);
    assert_ptr_equal(now->places, was->places);
    assert_int_equal(now->pages_n, 4);
    for (size_t i = 0; i < now->pages_n; i++)
        assert_int_equal(now->pages[i] == was->pages[i], i != 70 / SNAP_PAGE);
    assert_ptr_equal(now->groups[0], was->groups[0]);
    assert_ptr_not_equal(now->groups[1], was->groups[1]);
    assert_ptr_equal(now->policies[0], was->policies[0]);
    assert_ptr_not_equal(now->policies[1], was->policies[1]);
    assert_ptr_equal(now->users, was->users);
    assert_ptr_equal(snap_slot(now, 0)->peer, snap_slot(was, 0)->peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indexes_stay_and_a_freed_one_is_used_again),
        cmocka_unit_test(a_newcomer_on_a_used_index_inherits_no_group),
        cmocka_unit_test(the_old_snapshot_does_not_notice_the_new_one),
        cmocka_unit_test(peers_are_found_by_key_and_id_and_strangers_are_not),
        cmocka_unit_test(unknown_references_are_ignored),
        cmocka_unit_test(a_vanished_account_is_an_empty_one),
        cmocka_unit_test(the_serial_never_goes_back),
        cmocka_unit_test(what_did_not_change_is_shared_with_the_snapshot_before),
        cmocka_unit_test(thousands_of_peers_come_and_go_in_any_order),
    };

    return RUN_TESTS(tests);
}
