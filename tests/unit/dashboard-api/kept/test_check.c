/* Who asks and at which version, against a real server. */

#include "tests/support/account_pg.h"

#include "services/dashboard-api/kept/check.h"

/* Asks from a loop of its own. */
struct asking {
    struct rk_loop *loop;
    struct check *check;
    unsigned out; /* items that have not come back */
};

struct item {
    struct check_item it;
    struct asking *of;
    bool back;
};

static void begin(struct asking *a)
{
    *a = (struct asking){ .loop = rk_loop_new() };
    a->check = check_new(a->loop, fx.conninfo, "test");
}

static void end(struct asking *a)
{
    check_stop(a->check);
    check_free(a->check);
    rk_loop_free(a->loop);
}

static void on_back(struct check_item *it)
{
    struct item *i = rk_container_of(it, struct item, it);

    i->back = true;
    if (--i->of->out == 0)
        rk_loop_stop(i->of->loop);
}

/* hash "": what anybody may ask. */
static void add(struct asking *a, struct item *i, const char *hash)
{
    *i = (struct item){ .of = a, .it.on_done = on_back };
    (void)rk_str_copy(rk_str(hash), i->it.hash, sizeof(i->it.hash));
    assert_true(check_add(a->check, &i->it));
    a->out++;
}

static const struct check_item *ask(struct asking *a, struct item *i, const char *hash)
{
    add(a, i, hash);
    rk_loop_run(a->loop);
    assert_true(i->back);
    return &i->it;
}

/* Account "a<n>" with user "u<n>" and token "t<n>", whose hash is "h<n>". */
static void make_account(int n)
{
    char sql[800];

    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO account (id, is_primary, created_by, network_id, net4, settings, "
                   "onboarding) VALUES ('a%d', false, 'u%d', 'n%d', '100.64.0.0/16', '{}', '{}');"
                   "INSERT INTO users (id, account_id, role) VALUES ('u%d', 'a%d', 'owner');"
                   "INSERT INTO pat (id, account_id, user_id, name, hash, created_by, expires_at) "
                   "VALUES ('t%d', 'a%d', 'u%d', '', 'h%d', 'u%d', now() + interval '1 day')",
                   n, n, n, n, n, n, n, n, n, n);
    pg_must(pg, sql);
}

static void whose_token_it_is(void **state)
{
    struct asking a;
    struct item i[3];

    (void)state;
    make_account(1);
    make_account(2);
    begin(&a);
    for (int round = 0; round < 3; round++) {
        ask(&a, &i[0], "h1"); /* alone, then together */
        assert_string_equal(i[0].it.user_id, "u1");
        assert_string_equal(i[0].it.pat_id, "t1");
        add(&a, &i[0], "h1");
        add(&a, &i[1], "h2");
        ask(&a, &i[2], "h0");
        assert_string_equal(i[0].it.user_id, "u1");
        assert_string_equal(i[1].it.user_id, "u2");
        assert_true(i[0].it.known && i[1].it.known && !i[2].it.known);
    }
    end(&a);
}

/* Each change is seen by the next question, and whoever may not ask any more is not known. */
static void what_was_written_is_another_version_or_nobody(void **state)
{
    static const struct {
        const char *sql;
        bool known, presence;
    } changes[] = {
        { "UPDATE account SET serial = serial + 1 WHERE id = 'a3'", true, false },
        { "UPDATE users SET role = 'user' WHERE id = 'u3'", true, false },
        { "INSERT INTO account_presence (account_id) VALUES ('a3')", true, true },
        { "UPDATE account_presence SET times = times + 1 WHERE account_id = 'a3'", true, true },
        { "UPDATE users SET pending_approval = true WHERE id = 'u3'", false, false },
        { "UPDATE users SET pending_approval = false, blocked = true WHERE id = 'u3'", false,
          false },
        { "UPDATE users SET blocked = false WHERE id = 'u3'", true, false },
        { "UPDATE pat SET expires_at = now() WHERE id = 't3'", false, false },
        { "UPDATE pat SET expires_at = now() + interval '1 day' WHERE id = 't3'", true, false },
        { "DELETE FROM pat WHERE id = 't3'", false, false },
        { "INSERT INTO pat (id, account_id, user_id, name, hash, created_by, expires_at) VALUES "
          "('t3', 'a3', 'u3', '', 'h3', 'u3', now() + interval '1 day')",
          true, false },
        { "DELETE FROM account WHERE id = 'a3'", false, false },
    };
    struct asking a;
    struct item was, now;

    (void)state;
    make_account(3);
    begin(&a);
    for (size_t i = 0; i < RK_COUNT(changes); i++) {
        for (int k = 0; k < 8; k++) /* until it is asked whether there was any change at all */
            ask(&a, &was, "h3");
        pg_must(pg, changes[i].sql);
        ask(&a, &now, "h3");
        if (now.it.known != changes[i].known)
            fail_msg("%s: known %d", changes[i].sql, now.it.known);
        if (!now.it.known)
            continue;
        if (strcmp(now.it.presence, was.it.presence) == 0 && changes[i].presence)
            fail_msg("%s: the same presence", changes[i].sql);
        if (strcmp(now.it.version, was.it.version) == 0 && strstr(changes[i].sql, "SET serial"))
            fail_msg("%s: the same version", changes[i].sql);
        if (strcmp(now.it.version, was.it.version) == 0 && strstr(changes[i].sql, "UPDATE users"))
            fail_msg("%s: the same version", changes[i].sql);
    }
    end(&a);
}

/* The tables are locked: who reads them waits. */
static void while_nothing_changes_no_table_is_read(void **state)
{
    rk_auto(rk_pg_rollback) struct rk_pg_tx *tx = NULL;
    static const struct rk_pg_stmt lock = {
        "lock", "LOCK TABLE account, users, pat, account_presence IN ACCESS EXCLUSIVE MODE"
    };
    struct rk_err err = { 0 };
    struct asking a;
    struct item i[2];

    (void)state;
    make_account(6);
    begin(&a);
    for (int k = 0; k < 8; k++) {
        add(&a, &i[0], "h6");
        ask(&a, &i[1], "");
    }
    assert_int_equal(rk_pg_begin(pg, RK_PG_READ_COMMITTED, &tx, &err), 0);
    assert_int_equal(rk_pg_run0(pg, &lock, NULL, &err), 0);
    for (int k = 0; k < 8; k++) {
        assert_string_equal(ask(&a, &i[0], "h6")->user_id, "u6");
        assert_string_equal(ask(&a, &i[1], "")->version, "t");
    }
    end(&a);
}

/* A token's end is no change, and yet it is seen. */
static void a_token_ends_while_nothing_changes(void **state)
{
    struct asking a;
    struct item i;

    (void)state;
    make_account(7);
    pg_must(pg, "UPDATE pat SET expires_at = clock_timestamp() + interval '1 s' WHERE id = 't7'");
    begin(&a);
    while (ask(&a, &i, "h7")->known)
        continue;
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM pat WHERE id = 't7' AND expires_at > "
                                 "clock_timestamp()"),
                     0);
    end(&a);
}

static void whether_there_is_an_account(void **state)
{
    struct asking a;
    struct item i;

    (void)state;
    begin(&a);
    pg_must(pg, "DELETE FROM account");
    assert_true(ask(&a, &i, "")->known);
    assert_string_equal(i.it.version, "f");
    make_account(4);
    assert_string_equal(ask(&a, &i, "")->version, "t");
    pg_must(pg, "DELETE FROM account");
    assert_string_equal(ask(&a, &i, "")->version, "f");
    end(&a);
}

/* --- who comes while it is looked for more --- */

struct latecomer {
    struct asking a;
    struct item first, late;
    struct rk_task then;
    unsigned looks;
    bool together;
};

static void come(void *arg)
{
    struct latecomer *l = arg;

    if (l->looks++ == 0)
        add(&l->a, &l->late, "h5");
}

static void then(struct rk_task *t)
{
    struct latecomer *l = rk_container_of(t, struct latecomer, then);

    l->together = l->late.back;
}

static void on_first_back(struct check_item *it)
{
    struct item *i = rk_container_of(it, struct item, it);
    struct latecomer *l = rk_container_of(i, struct latecomer, first);

    l->then.run = then;
    rk_loop_defer(l->a.loop, &l->then);
    on_back(it);
}

static void who_comes_before_the_question_is_put_shares_it(void **state)
{
    struct latecomer l = { .looks = 0 };

    (void)state;
    make_account(5);
    begin(&l.a);
    ask(&l.a, &l.first, "h5"); /* connects */
    check_gather(l.a.check, come, &l);
    add(&l.a, &l.first, "h5");
    l.first.it.on_done = on_first_back;
    rk_loop_run(l.a.loop);
    assert_true(l.first.it.known && l.late.it.known);
    assert_true(l.together);
    assert_int_equal(l.looks, 2); /* the second brought nobody */
    end(&l.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whose_token_it_is),
        cmocka_unit_test(what_was_written_is_another_version_or_nobody),
        cmocka_unit_test(while_nothing_changes_no_table_is_read),
        cmocka_unit_test(a_token_ends_while_nothing_changes),
        cmocka_unit_test(whether_there_is_an_account),
        cmocka_unit_test(who_comes_before_the_question_is_put_shares_it),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
