#include "tests/support/test.h"

/* Posture checks at work: who is a source, and what moves when metadata or a check does. */

#include "libcommon/account/snapshot/int.h"
#include "tests/support/account_maps.h"

static struct rk_row *check(const char *min)
{
    struct rk_posture_row *c = (struct rk_posture_row *)rk_row_new(RK_OBJ_POSTURE_CHECK, "pc");

    c->has_nb_version = true;
    c->nb_min = rk_strdup(min);
    return &c->row;
}

static struct rk_peer_row *peer(const char *id, unsigned n, const char *version)
{
    struct rk_peer_row *p = rows_peer(id, n);

    rows_set(&p->version, version);
    return p;
}

static struct rk_policy_row *policy(const char *check_id, const char *source_peer)
{
    struct rk_policy_row *p = rows_policy("pol");
    struct rk_rule *r = rows_rule(p, RK_PROTO_ALL, false);

    rows_ids_add(&p->posture_checks.v, &p->posture_checks.n, check_id);
    if (source_peer)
        (void)rk_str_copy(rk_str(source_peer), r->source_peer, sizeof(r->source_peer));
    else
        rows_source(r, "gC");
    rows_destination(r, "gS");
    return p;
}

/* Clients "new" and "old" may reach "srv" if they pass "pc" (0.70.0). */
static struct rk_delta *world(struct rk_policy_row *p)
{
    struct rk_delta *d = rows_full(1);
    struct rk_group_row *c = rows_group("gC", "gC"), *s = rows_group("gS", "gS");

    rows_add_account(d, rows_account());
    rows_add_peer(d, peer("new", 1, "0.77.1"));
    rows_add_peer(d, peer("old", 2, "0.65.0"));
    rows_add_peer(d, rows_peer("srv", 3));
    rows_member(c, "new");
    rows_member(c, "old");
    rows_member(s, "srv");
    rows_add_group(d, c);
    rows_add_group(d, s);
    rows_add_object(d, check("0.70.0"));
    rows_add_policy(d, p);
    return d;
}

/* How many peers reach the server. */
static size_t remotes(const struct rk_snapshot *s)
{
    Management__SyncResponse *m = compile(s, "srv");
    size_t n = m->networkmap->n_remotepeers;

    done(m);
    return n;
}

static size_t affected(const struct rk_snapshot *was, const struct rk_snapshot *now)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap hit;

    rk_bitmap_init(&hit);
    rk_snapshot_affected(was, now, &hit);
    return rk_bitmap_count(&hit);
}

static void who_fails_is_no_source_until_its_agent_is_updated(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = rows_apply(NULL, world(policy("pc", NULL)));
    rk_auto(rk_snapshot_unref) struct rk_snapshot *now = NULL;
    rk_auto(rk_delta_free) struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);

    (void)state;
    assert_int_equal(remotes(s), 1);
    rows_add_peer(d, peer("old", 2, "0.70.0"));
    now = rk_snapshot_apply(s, d);
    assert_int_equal(remotes(now), 2);
    assert_int_equal(remotes(s), 1); /* the old snapshot does not notice */
    assert_int_equal(affected(s, now), 2);
}

static void a_stricter_check_shuts_out_who_passed(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = rows_apply(NULL, world(policy("pc", NULL)));
    rk_auto(rk_snapshot_unref) struct rk_snapshot *now = NULL;
    rk_auto(rk_delta_free) struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);

    (void)state;
    rows_add_object(d, check("0.99.0"));
    now = rk_snapshot_apply(s, d);
    assert_int_equal(remotes(now), 0);
    assert_int_equal(affected(s, now), 2); /* "new" and the server; "old" had nothing to lose */
}

static void a_check_changed_to_the_same_effect_affects_nobody(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = rows_apply(NULL, world(policy("pc", NULL)));
    rk_auto(rk_snapshot_unref) struct rk_snapshot *now = NULL;
    rk_auto(rk_delta_free) struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);

    (void)state;
    rows_add_object(d, check("0.71.0"));
    now = rk_snapshot_apply(s, d);
    assert_int_equal(affected(s, now), 0);
    assert_ptr_equal(s->policies[0], now->policies[0]); /* not even a copy */
}

static void a_check_that_is_gone_or_never_was_does_not_count(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = rows_apply(NULL, world(policy("pc", NULL)));
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);

    (void)state;
    (void)rk_delta_add(d, RK_OBJ_POSTURE_CHECK, "pc");
    s = rows_apply(rk_steal(s), d);
    assert_int_equal(remotes(s), 2);
    rk_snapshot_unref(s);
    s = rows_apply(NULL, world(policy("never", NULL)));
    assert_int_equal(remotes(s), 2);
}

static void a_peer_named_directly_is_not_asked(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = rows_apply(NULL, world(policy("pc", "old")));

    (void)state;
    assert_int_equal(remotes(s), 1);
}

static void a_newcomer_on_a_used_index_passes_on_its_own(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = rows_apply(NULL, world(policy("pc", NULL)));
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);
    size_t index = rk_snapshot_find_id(s, RK_STR("new"));

    (void)state;
    (void)rk_delta_add(d, RK_OBJ_PEER, "new");
    rows_add_peer(d, peer("other", 4, "0.61.0"));
    rows_add_membership(d, "gC", "other", true);
    s = rows_apply(rk_steal(s), d);
    assert_int_equal(rk_snapshot_find_id(s, RK_STR("other")), index);
    assert_int_equal(remotes(s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_fails_is_no_source_until_its_agent_is_updated),
        cmocka_unit_test(a_stricter_check_shuts_out_who_passed),
        cmocka_unit_test(a_check_changed_to_the_same_effect_affects_nobody),
        cmocka_unit_test(a_check_that_is_gone_or_never_was_does_not_count),
        cmocka_unit_test(a_peer_named_directly_is_not_asked),
        cmocka_unit_test(a_newcomer_on_a_used_index_passes_on_its_own),
    };

    return RUN_TESTS(tests);
}
