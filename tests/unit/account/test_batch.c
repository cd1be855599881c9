/* Changes of an account that share a commit and a serial, against a real server. */

#include "tests/support/test.h"

#include "libcommon/account/rules/audit.h"
#include "libcommon/obs/trace.h"
#include "libcommon/pg/pg_int.h"
#include "tests/support/account_pg.h"

static unsigned waiting; /* so many commits are put off */

static bool more(void *arg)
{
    (void)arg;
    if (waiting == 0)
        return false;
    waiting--;
    return true;
}

static int fresh(void **state)
{
    (void)state;
    pg_must(pg,
            "DELETE FROM account;"
            "INSERT INTO account (id, domain, created_by, network_id, net4, settings, onboarding) "
            "SELECT 'acc' || n, n::text, 'o', 'n', '100.64.0.0/10', '{}', '{}' FROM "
            "generate_series(1, 2) n;"
            "INSERT INTO network (id, public_id, account_id, name, description) "
            "SELECT 'n' || n, 'n' || n, 'acc1', 'n' || n, '' FROM generate_series(1, 3) n");
    waiting = 0;
    return 0;
}

/* Network `n` of the account gets that description, as `author` wants it. */
static int change(const char *account, int n, const char *author, uint64_t *out_serial)
{
    static const struct rk_pg_stmt set = { "batch_set",
                                           "UPDATE network SET description = $2 WHERE id = $1" };
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    struct rk_err err = { 0 };
    char id[8];
    int r;

    snprintf(id, sizeof(id), "n%d", n);
    r = rk_change_begin_later(pg, account, &ch, &err);
    if (r == 0)
        r = rk_change_watch(ch, RK_WATCH_NETWORK, id, NULL, &err);
    if (r == 0)
        r = rk_pg_later(pg, &set, NULL, &err, RK_P_C(id), RK_P_C(author));
    if (r == 0)
        r = rk_change_event(ch, "network.update", author, id, (struct rk_str){ NULL, 0 }, &err);
    if (r == 0)
        r = rk_change_touch(ch, RK_OBJ_NETWORK, id, &err);
    if (r == 0)
        r = rk_change_commit(&ch, out_serial, &err);
    return r;
}

static int64_t serial(void)
{
    return pg_ask(&fx, "SELECT serial FROM account WHERE id = 'acc1'");
}

static int end(struct rk_batch *b, struct rk_bell *bell)
{
    struct rk_err err = { 0 };

    *bell = (struct rk_bell){ .serial = 0 };
    return rk_batch_end(b, pg, bell, &err);
}

static void two_share_a_serial_and_each_has_its_event_and_its_trace(void **state)
{
    int64_t was = serial();
    struct rk_trace trace;
    struct rk_batch *b;
    struct rk_bell bell;
    uint64_t said = 7;

    (void)state;
    waiting = 1;
    b = rk_batch_begin(pg, more, NULL);
    assert_int_equal(change("acc1", 1, "alice", &said), 0);
    assert_int_equal(said, 0);
    assert_int_equal(serial(), was);
    rk_trace_begin(&trace, RK_STR(""));
    rk_trace_enter(&trace);
    assert_int_equal(change("acc1", 2, "bob", &said), 0);
    rk_trace_leave();
    assert_int_equal(serial(), was + 1);
    assert_int_equal(end(b, &bell), 0);
    assert_string_equal(bell.account_id, "acc1");
    assert_int_equal(bell.serial, was + 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM account_change c JOIN account a ON a.id = "
                                 "c.account_id AND a.serial = c.serial WHERE "
                                 "(object_id, length(trace)) IN (('n2', 32)) OR "
                                 "(object_id = 'n1' AND trace IS NULL)"),
                     2);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event e JOIN network n ON n.id = "
                                 "e.target_id AND n.description = e.initiator_id WHERE "
                                 "changes->'description'->>'after' = e.initiator_id"),
                     2);
}

static void alone_it_is_as_without(void **state)
{
    struct rk_bell bell;
    uint64_t said = 0;
    struct rk_batch *b;
    unsigned trips, before;

    (void)state;
    assert_int_equal(change("acc1", 1, "alice", &said), 0);
    assert_int_equal(said, serial());
    trips = rk_pg_trips(pg);
    assert_int_equal(change("acc1", 1, "bob", &said), 0);
    trips = rk_pg_trips(pg) - trips;
    before = rk_pg_trips(pg);
    b = rk_batch_begin(pg, more, NULL);
    assert_int_equal(change("acc1", 1, "carol", NULL), 0);
    assert_int_equal(end(b, &bell), 0);
    assert_int_equal(rk_pg_trips(pg) - before, trips);
    assert_int_equal(bell.serial, serial());
}

static void one_that_touches_nothing_writes_the_accounts_row_and_rings_nobody(void **state)
{
    int64_t was = serial(), row = pg_ask(&fx, "SELECT xmin::text FROM account WHERE id = 'acc1'");
    struct rk_change *ch = NULL;
    struct rk_err err = { 0 };
    struct rk_bell bell;
    struct rk_batch *b;

    (void)state;
    waiting = 1;
    b = rk_batch_begin(pg, more, NULL);
    assert_int_equal(rk_change_begin(pg, "acc1", &ch, &err), 0);
    assert_int_equal(rk_change_commit(&ch, NULL, &err), 0);
    assert_int_equal(end(b, &bell), 0);
    assert_int_equal(bell.serial, 0);
    assert_int_equal(serial(), was);
    assert_int_not_equal(pg_ask(&fx, "SELECT xmin::text FROM account WHERE id = 'acc1'"), row);
}

static void another_account_is_changed_by_itself(void **state)
{
    int64_t was = serial();
    struct rk_bell bell;
    struct rk_batch *b;
    uint64_t said = 0;

    (void)state;
    waiting = 9;
    b = rk_batch_begin(pg, more, NULL);
    assert_int_equal(change("acc1", 1, "alice", NULL), 0);
    assert_int_equal(change("acc2", 1, "bob", &said), 0);
    assert_int_equal(said, pg_ask(&fx, "SELECT serial FROM account WHERE id = 'acc2'"));
    assert_int_equal(end(b, &bell), 0);
    assert_string_equal(bell.account_id, "acc1");
    assert_int_equal(bell.serial, was + 1);
}

/* Whatever fails: all that were told of success stand, and where the batch says that nothing does
 * nothing does. */
static void nothing_is_there_by_half(void **state)
{
    static const int codes[] = { RK_CONFLICT, RK_UNAVAILABLE, RK_INTERNAL };
    bool done = false;

    (void)state;
    assert_int_equal(change("acc1", 1, "x", NULL), 0); /* everything is prepared */
    for (unsigned step = 1; !done; step++) {
        for (size_t code = 0; code < RK_COUNT(codes); code++) {
            int64_t was = serial(), there;
            struct rk_bell bell;
            struct rk_batch *b;
            int told = 0, r;

            assert_true(step < 100);
            pg_must(pg, "UPDATE network SET description = ''; DELETE FROM event");
            waiting = 9;
            b = rk_batch_begin(pg, more, NULL);
            rk_pg_fail_at(pg, step, codes[code]);
            for (int n = 1; n <= 3; n++)
                told += change("acc1", n, "alice", NULL) == 0;
            r = end(b, &bell);
            rk_pg_fail_at(pg, 0, 0);
            there = pg_ask(&fx, "SELECT count(*) FROM network WHERE description = 'alice'");
            assert_int_equal(there, r == 0 ? told : 0);
            assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event"), there);
            assert_int_equal(serial(), was + (there > 0));
            assert_int_equal(bell.serial, there > 0 ? was + 1 : 0);
            done = r == 0 && told == 3;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(two_share_a_serial_and_each_has_its_event_and_its_trace, fresh),
        cmocka_unit_test_setup(alone_it_is_as_without, fresh),
        cmocka_unit_test_setup(one_that_touches_nothing_writes_the_accounts_row_and_rings_nobody,
                               fresh),
        cmocka_unit_test_setup(another_account_is_changed_by_itself, fresh),
        cmocka_unit_test_setup(nothing_is_there_by_half, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
