/* By what somebody who has read an account knows that nothing has happened since, against a real
 * server: every change writes the account's row, and peers that come or go are noted. */

#include "tests/support/test.h"

#include "libcommon/account/peer/due.h"
#include "libcommon/account/peer/peers.h"
#include "libcommon/account/peer/replica.h"
#include "tests/support/account_pg.h"

static int fresh(void **state)
{
    (void)state;
    pg_must(pg,
            "DELETE FROM account; DELETE FROM replica; DELETE FROM replica_watch;"
            "INSERT INTO replica_watch (since, beat) VALUES (now() - interval '1 hour', now());"
            "INSERT INTO account (id, domain, created_by, network_id, net4, settings, onboarding) "
            "SELECT 'acc' || n, n::text, 'o', 'n', '100.64.0.0/10', '{}', '{}' FROM "
            "generate_series(1, 2) n;"
            "INSERT INTO peer (id, account_id, key, ip, dns_label, name) SELECT 'p' || n, 'acc' || "
            "n, 'k' || n, inet '100.64.0.0' + n, 'p' || n, 'p' || n FROM generate_series(1, 2) n;"
            "INSERT INTO peer_status (peer_id) SELECT id FROM peer");
    return 0;
}

static int64_t row_of(int account)
{
    return pg_ask(&fx, account == 1 ? "SELECT xmin::text FROM account WHERE id = 'acc1'"
                                    : "SELECT xmin::text FROM account WHERE id = 'acc2'");
}

/* 0: nobody ever came. */
static int64_t noted(int account)
{
    return pg_ask(
        &fx, account == 1
                 ? "SELECT max(xmin::text::bigint) FROM account_presence WHERE account_id = 'acc1'"
                 : "SELECT max(xmin::text::bigint) FROM account_presence WHERE account_id = "
                   "'acc2'");
}

static void a_change_writes_its_accounts_row_even_if_no_map_is_made_of_it(void **state)
{
    int64_t was = row_of(1), other = row_of(2), serial;
    struct rk_change *ch = NULL;
    struct rk_err err = { 0 };

    (void)state;
    serial = pg_ask(&fx, "SELECT serial FROM account WHERE id = 'acc1'");
    assert_int_equal(rk_change_begin(pg, "acc1", &ch, &err), 0);
    assert_int_equal(rk_change_commit(&ch, NULL, &err), 0);
    assert_int_not_equal(row_of(1), was);
    assert_int_equal(pg_ask(&fx, "SELECT serial FROM account WHERE id = 'acc1'"), serial);
    was = row_of(1);
    assert_int_equal(rk_change_begin(pg, "acc1", &ch, &err), 0);
    assert_int_equal(rk_change_touch(ch, RK_OBJ_PEER, "p1", &err), 0);
    assert_int_equal(rk_change_commit(&ch, NULL, &err), 0);
    assert_int_not_equal(row_of(1), was);
    assert_int_equal(row_of(2), other);
}

static void a_change_that_is_given_up_does_not(void **state)
{
    int64_t was = row_of(1);
    struct rk_change *ch = NULL;
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_change_begin(pg, "acc1", &ch, &err), 0);
    rk_change_abort(ch);
    assert_int_equal(row_of(1), was);
}

static void connect_as(const char *replica, const char *peer, bool connected)
{
    struct rk_peer_presence row = { .connected = connected, .session = 1 };
    struct rk_err err = { 0 };

    snprintf(row.peer_id, sizeof(row.peer_id), "%s", peer);
    snprintf(row.replica, sizeof(row.replica), "%s", replica);
    assert_int_equal(rk_peer_store_presence(pg, &row, 1, RK_EPHEMERAL_LIFE_S, NULL, &err), 0);
}

static void peers_that_come_and_go_are_noted_in_their_account(void **state)
{
    int64_t came, account = row_of(1);

    (void)state;
    assert_int_equal(noted(1), 0);
    connect_as("r", "p1", true);
    came = noted(1);
    assert_int_not_equal(came, 0);
    connect_as("r", "p1", false);
    assert_int_not_equal(noted(1), came);
    assert_int_equal(noted(2), 0);
    assert_int_equal(row_of(1), account);
}

static void a_batch_of_both_notes_all_of_their_accounts(void **state)
{
    struct rk_peer_presence rows[] = {
        { .peer_id = "p2", .connected = false, .session = 1, .replica = "r" },
        { .peer_id = "p1", .connected = true, .session = 1, .replica = "r" },
    };
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_peer_store_presence(pg, rows, 2, RK_EPHEMERAL_LIFE_S, NULL, &err), 0);
    assert_int_not_equal(noted(1), 0);
    assert_int_not_equal(noted(2), 0);
}

static void peers_of_a_dead_replica_are_noted(void **state)
{
    struct rk_err err = { 0 };
    int64_t came, n = 0;

    (void)state;
    connect_as("unheard of", "p1", true);
    came = noted(1);
    assert_int_equal(rk_replica_sweep(pg, 20, RK_EPHEMERAL_LIFE_S, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_not_equal(noted(1), came);
    assert_int_equal(noted(2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_change_writes_its_accounts_row_even_if_no_map_is_made_of_it,
                               fresh),
        cmocka_unit_test_setup(a_change_that_is_given_up_does_not, fresh),
        cmocka_unit_test_setup(peers_that_come_and_go_are_noted_in_their_account, fresh),
        cmocka_unit_test_setup(a_batch_of_both_notes_all_of_their_accounts, fresh),
        cmocka_unit_test_setup(peers_of_a_dead_replica_are_noted, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
