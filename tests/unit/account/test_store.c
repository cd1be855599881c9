/* The store against a real server: the first account, loading, secrets, and nothing half read. */

#include "tests/support/test.h"

#include <pthread.h>

#include "libcommon/account/store/int.h"
#include "libcommon/crypto/box.h"
#include "libcommon/pg/pg_int.h"
#include "tests/support/account_peers.h"

static size_t count_kind(const struct rk_delta *d, enum rk_object_kind kind)
{
    size_t i, n = 0;

    for (i = 0; i < d->n; i++)
        n += d->items[i].kind == kind;
    return n;
}

static void setup_makes_one_account_with_its_defaults(void **state)
{
    const struct rk_account_setup in = { "d.test", "b@example.com", "B", "x", NULL, NULL, 0 };
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    struct rk_account_created other;
    struct rk_err err = { 0 };
    const struct rk_account_row *a;
    const struct rk_policy_row *p;
    bool any = false;

    (void)state;
    fresh(0);
    assert_int_equal(rk_account_any(pg, &any, &err), 0);
    assert_true(any);
    assert_int_equal(rk_account_setup(pg, &in, &other, &err), RK_PRECONDITION);
    assert_string_equal(err.msg, "setup already completed");
    d = load(0);
    assert_true(d->full);
    a = item(d, RK_OBJ_ACCOUNT)->row.account;
    assert_int_equal(a->net4[0], 100);
    assert_in_range(a->net4[1], 64, 127);
    assert_int_equal(a->net4_bits, 16);
    assert_true(a->has_net6);
    assert_int_equal(a->net6[0], 0xfd);
    assert_int_equal(a->net6_bits, 64);
    assert_string_equal(a->dns_domain, "default.test");
    assert_string_equal(a->auto_update_version, "disabled");
    assert_true(a->peer_login_expiration_enabled && a->lazy_connection_enabled &&
                a->routing_peer_dns_resolution_enabled);
    assert_int_equal(a->peer_login_expiration_s, 86400);
    assert_true(item(d, RK_OBJ_GROUP)->row.group->is_all);
    p = item(d, RK_OBJ_POLICY)->row.policy;
    assert_true(p->enabled);
    assert_int_equal(p->rules_n, 1);
    assert_true(p->rules[0].bidirectional && p->rules[0].enabled);
    assert_int_equal(p->rules[0].protocol, RK_PROTO_ALL);
    assert_string_equal(p->rules[0].sources[0], item(d, RK_OBJ_GROUP)->id);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event"), 3);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM pat"), 1);
}

static void *race_setup(void *arg)
{
    rk_auto(rk_pg_free) struct rk_pg *own = rk_pg_new(fx.conninfo, "test");
    const struct rk_account_setup in = { "d.test", "c@example.com", "C", "x", NULL, NULL, 0 };
    struct rk_account_created out;

    *(int *)arg = rk_account_setup(own, &in, &out, NULL);
    return NULL;
}

static void of_two_setups_one_wins(void **state)
{
    int round;

    (void)state;
    for (round = 0; round < 20; round++) {
        pthread_t t[2];
        int r[2], i;

        pg_must(pg, "DELETE FROM account");
        for (i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&t[i], NULL, race_setup, &r[i]), 0);
        for (i = 0; i < 2; i++)
            pthread_join(t[i], NULL);
        assert_int_equal(r[0] + r[1], RK_PRECONDITION);
        assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM account"), 1);
    }
}

static void a_failed_read_yields_no_delta(void **state)
{
    struct rk_err err = { 0 };
    struct rk_bell bell;
    uint64_t since;

    (void)state;
    fresh(0);
    assert_int_equal(register_peer(pg, "k", NULL, &bell, &err), 0);
    assert_int_equal(register_peer(pg, "l", NULL, &bell, &err), 0);
    for (since = 0; since < 2; since++) {
        unsigned k;

        for (k = 1; k < 20; k++) {
            struct rk_delta *d = NULL;
            int r;

            rk_pg_fail_at(pg, k, k % 2 ? RK_INTERNAL : RK_UNAVAILABLE);
            r = rk_store_load(pg, acc.account_id, since, "", &d, &err);
            rk_pg_fail_at(pg, 0, 0);
            if (r == 0) {
                rk_delta_free(d);
                break;
            }
            assert_null(d);
        }
        assert_in_range(k, 5, 19);
    }
}

static void after_a_restore_every_serial_is_a_new_one(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *before = NULL, *d = NULL;
    struct rk_err err = { 0 };
    struct rk_bell bell;
    int64_t n = 0;

    (void)state;
    fresh(0);
    assert_int_equal(register_peer(pg, "l", NULL, &bell, &err), 0);
    before = load(0);
    assert_int_equal(rk_store_restored(pg, &n, &err), 0);
    assert_int_equal(n, 1);
    d = load(before->serial);
    assert_true(d->full);
    assert_int_equal(d->serial, before->serial + 1000000);
    assert_int_equal(count_kind(d, RK_OBJ_PEER), 1);
}

static void a_change_says_whose_work_it_is(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *one = NULL, *all = NULL;
    struct rk_err err = { 0 };
    struct rk_trace trace, other;
    struct rk_bell bell;

    (void)state;
    fresh(0);
    assert_int_equal(register_peer(pg, "l", NULL, &bell, &err), 0);
    rk_trace_begin(&trace, RK_STR(""));
    rk_trace_enter(&trace);
    assert_int_equal(register_peer(pg, "l", NULL, &bell, &err), 0);
    rk_trace_leave();
    one = load(1);
    assert_int_equal(one->traces_n, 1);
    assert_string_equal(one->traces[0], trace.id);
    assert_int_equal(register_peer(pg, "l", NULL, &bell, &err), 0); /* nobody's */
    rk_trace_begin(&other, RK_STR(""));
    rk_trace_enter(&other);
    assert_int_equal(register_peer(pg, "l", NULL, &bell, &err), 0);
    rk_trace_leave();
    all = load(1);
    assert_int_equal(all->traces_n, 2);
    assert_string_equal(all->traces[0], trace.id);
    assert_string_equal(all->traces[1], other.id);
}

static void what_changed_is_named_and_a_gap_means_everything(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *one = NULL, *gap = NULL, *part = NULL, *same = NULL,
                                           *gone = NULL;
    struct rk_err err = { 0 };
    struct rk_bell bell;
    char ids[2][RK_XID_LEN + 1] = { "", "absent" };
    uint64_t serials[2] = { 9, 9 };
    int64_t pruned = 0;
    int i;

    (void)state;
    fresh(0);
    for (i = 0; i < 3; i++)
        assert_int_equal(register_peer(pg, "l", NULL, &bell, &err), 0);
    one = load(2);
    assert_false(one->full);
    assert_int_equal(one->serial, 3);
    assert_int_equal(one->n, 2);
    assert_int_equal(count_kind(one, RK_OBJ_GROUP_PEER), 1);
    assert_true(item(one, RK_OBJ_GROUP_PEER)->present);
    assert_string_equal(item(one, RK_OBJ_GROUP_PEER)->peer, item(one, RK_OBJ_PEER)->id);
    assert_true(one->committed_at_us > 0);
    same = load(3);
    assert_false(same->full);
    assert_int_equal(same->n, 0);
    pg_must(pg, "DELETE FROM account_change WHERE serial = 2");
    gap = load(1);
    assert_true(gap->full);
    assert_int_equal(count_kind(gap, RK_OBJ_PEER), 3);
    assert_int_equal(item(gap, RK_OBJ_GROUP)->row.group->members_n, 3);
    /* Of an old one some may be gone. */
    pg_must(pg, "DELETE FROM account_change WHERE serial = 3 AND kind = 'peer'; "
                "UPDATE account_change SET at = now() - interval '50 minutes'");
    part = load(2);
    assert_true(part->full);
    assert_int_equal(count_kind(part, RK_OBJ_PEER), 3);
    memcpy(ids[0], acc.account_id, sizeof(ids[0]));
    assert_int_equal(rk_store_serials(pg, (const char(*)[RK_XID_LEN + 1]) ids, 2, serials, &err),
                     0);
    assert_int_equal(serials[0], 3);
    assert_int_equal(serials[1], 0);
    pg_must(pg, "UPDATE account_change SET at = now() - interval '1 hour'");
    pg_must(pg, "UPDATE account_change SET at = now() WHERE serial = 3");
    assert_int_equal(rk_store_prune_changes(pg, 60, &pruned, &err), 0);
    assert_int_equal(pruned, 2);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM account_change WHERE serial <> 3"), 0);
    pg_must(pg, "DELETE FROM account");
    gone = load(3);
    assert_true(gone->account_gone);
}

static void make_random(struct rk_buf *out)
{
    uint8_t b[32];

    rk_random(b, sizeof(b));
    rk_buf_put(out, b, sizeof(b));
}

struct secret_racer {
    struct rk_seal seal;
    uint8_t got[32];
    int r;
};

static void *race_secret(void *arg)
{
    rk_auto(rk_pg_free) struct rk_pg *own = rk_pg_new(fx.conninfo, "test");
    rk_auto(rk_buf_done) struct rk_buf out;
    struct secret_racer *me = arg;

    rk_buf_init(&out, 4096);
    me->r = rk_store_secret(own, &me->seal, "server_key", make_random, &out, NULL);
    if (me->r == 0 && out.n == sizeof(me->got))
        memcpy(me->got, out.p, out.n);
    return NULL;
}

static void all_replicas_get_one_secret(void **state)
{
    struct secret_racer racer[4];
    pthread_t t[4];
    int i;

    (void)state;
    memset(racer, 0, sizeof(racer));
    for (i = 0; i < 4; i++) {
        racer[i].seal.n = 1;
        memset(racer[i].seal.key, 5, sizeof(racer[i].seal.key));
        assert_int_equal(pthread_create(&t[i], NULL, race_secret, &racer[i]), 0);
    }
    for (i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    for (i = 0; i < 4; i++) {
        assert_int_equal(racer[i].r, 0);
        assert_memory_equal(racer[i].got, racer[0].got, 32);
    }
    memset(racer[0].seal.key, 6,
           sizeof(racer[0].seal.key)); /* another deployment's key opens nothing */
    race_secret(&racer[0]);
    assert_true(racer[0].r < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setup_makes_one_account_with_its_defaults),
        cmocka_unit_test(of_two_setups_one_wins),
        cmocka_unit_test(a_failed_read_yields_no_delta),
        cmocka_unit_test(a_change_says_whose_work_it_is),
        cmocka_unit_test(what_changed_is_named_and_a_gap_means_everything),
        cmocka_unit_test(after_a_restore_every_serial_is_a_new_one),
        cmocka_unit_test(all_replicas_get_one_secret),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
