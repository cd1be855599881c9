/* Signing in against a real server: who becomes a user of which account, and what a token changes.
 */

#include <pthread.h>

#include "libcommon/account/rules/user.h"
#include "tests/support/account_sign_in.h"

static void the_first_makes_the_account_and_owns_it(void **state)
{
    struct rk_claims c = claims_of("auth0|1", "{}");

    (void)state;
    c.email = "one@team.test";
    c.preferred_username = "one";
    done(sign_in(&single, &c), &err);
    assert_string_equal(got.role, "owner");
    assert_true(got.joined && !got.blocked && !got.pending_approval && got.view_blocked);
    assert_string_equal(got.domain, "d.test");
    assert_int_equal(ask("SELECT count(*) FROM account WHERE domain = 'team.test' AND is_primary "
                         "AND domain_category = 'private' AND created_by = 'auth0|1'"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM users WHERE role = 'owner' AND name = 'one' AND "
                         "email = 'one@team.test' AND issued = 'api' AND password_hash IS NULL"),
                     1);
    assert_int_equal(events("account.create"), 1);
    assert_int_equal(events("user.join"), 1);
    done(sign_in(&single, &c), &err);
    assert_false(got.joined);
    assert_int_equal(ask("SELECT count(*) FROM users"), 1);
}

static void whoever_comes_later_joins_and_waits_for_approval(void **state)
{
    (void)state;
    come(&single, "owner");
    come(&single, "second");
    assert_true(got.joined && got.blocked && got.pending_approval);
    assert_string_equal(got.role, "user");
    assert_int_equal((int64_t)got.bell.serial, serial());
    assert_int_equal(touched("user"), 1);
    assert_int_equal(events_with("user.join", "pending_approval", "true"), 1);
    pg_must(pg, "UPDATE account SET settings = settings || '" NO_APPROVAL "'");
    come(&single, "third");
    assert_true(got.joined && !got.blocked && !got.pending_approval);
    assert_int_equal(events("user.join"), 3);
    come(&single, "second");
    assert_true(got.pending_approval);
    assert_int_equal(ask("SELECT count(*) FROM account"), 1);
}

static void who_exists_before_the_first_login_need_not_be_approved(void **state)
{
    (void)state;
    come(&single, "owner");
    pg_must(pg, "INSERT INTO users (id, account_id, role) SELECT 'announced', id, 'auditor' FROM "
                "account");
    come(&single, "announced");
    assert_false(got.joined || got.blocked || got.pending_approval);
    assert_string_equal(got.role, "auditor");
}

static void an_account_without_its_domain_is_joined_all_the_same(void **state)
{
    const struct rk_account_setup in = {
        .domain = "old.test", .email = "o@d.test", .name = "O", .password_hash = "x"
    };

    (void)state;
    done(rk_account_setup(pg, &in, &acc, &err), &err);
    come(&single, "second");
    assert_string_equal(got.account_id, acc.account_id);
    assert_int_equal(ask("SELECT count(*) FROM account"), 1);
}

/* Our own provider has one account however many there are; another's has one a user then. */
static void several_accounts_end_the_single_one_but_not_with_our_own_provider(void **state)
{
    char first[RK_XID_LEN + 1], sub[RK_USER_ID_MAX];

    (void)state;
    come(&single, "owner");
    memcpy(first, got.account_id, sizeof(first));
    come(&many, "hermit");
    assert_string_not_equal(got.account_id, first);
    come(&single, "hermit 2");
    assert_string_equal(got.role, "owner");
    assert_true(rk_subject_encode("7", "upstream", sub));
    connector("upstream", first);
    come(&embedded, sub);
    assert_string_equal(got.account_id, first);
    assert_int_equal(ask("SELECT count(*) FROM account"), 3);
}

static void who_comes_by_a_tenants_provider_belongs_to_that_tenant(void **state)
{
    static const struct rk_sign_in_rules tenants = { .embedded = true,
                                                     .single_account_domain = "",
                                                     .default_domain = "d.test" };
    char first[RK_XID_LEN + 1], second[RK_XID_LEN + 1], sub[RK_USER_ID_MAX];
    struct rk_claims c = claims_of("", "{}");

    (void)state;
    come(&many, "one");
    memcpy(first, got.account_id, sizeof(first));
    come(&many, "two");
    memcpy(second, got.account_id, sizeof(second));
    connector("okta-1", first);
    connector("okta-2", second);
    assert_true(rk_subject_encode("7", "okta-2", sub));
    come(&tenants, sub);
    assert_string_equal(got.account_id, second);
    /* The same person of another tenant's provider is another user. */
    assert_true(rk_subject_encode("7", "okta-1", sub));
    come(&tenants, sub);
    assert_string_equal(got.account_id, first);
    assert_true(rk_subject_encode("7", "okta-3", sub));
    c.user_id = sub;
    assert_int_equal(sign_in(&tenants, &c), RK_UNAUTHENTICATED);
    assert_int_equal(ask("SELECT count(*) FROM account"), 2);
    assert_int_equal(ask("SELECT count(*) FROM users"), 4);
}

static void a_private_domain_shares_an_account_and_others_do_not(void **state)
{
    struct rk_claims a = claims_of("a", "{}"), b = claims_of("b", "{}"), c = claims_of("c", "{}");
    struct rk_claims d = claims_of("d", "{}"), e = claims_of("e", "{}");
    char first[RK_XID_LEN + 1];

    (void)state;
    a.account_domain = "Acme.Test";
    a.account_domain_category = "private";
    b = a;
    b.user_id = "b";
    done(sign_in(&many, &a), &err);
    memcpy(first, got.account_id, sizeof(first));
    done(sign_in(&many, &b), &err);
    assert_string_equal(got.account_id, first);
    assert_string_equal(got.role, "user");
    c.account_domain = "acme.test"; /* the same, but anybody may have it */
    c.account_domain_category = "public";
    done(sign_in(&many, &c), &err);
    assert_string_not_equal(got.account_id, first);
    d.account_domain = "-acme.test";
    d.account_domain_category = "private";
    done(sign_in(&many, &d), &err);
    assert_string_equal(got.role, "owner");
    done(sign_in(&many, &e), &err);
    assert_string_equal(got.role, "owner");
    assert_int_equal(ask("SELECT count(*) FROM account"), 4);
    assert_int_equal(ask("SELECT count(*) FROM account WHERE is_primary"), 1);
    assert_int_equal(ask("SELECT count(*) FROM account WHERE domain_category = 'public' AND domain "
                         "= 'acme.test'"),
                     1);
}

static void what_is_a_domain(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { "a.io", true },      { "a-b.c-d.io", true }, { "1.x.com", true }, { "a.b.museum", true },
        { "", false },         { "io", false },        { ".io", false },    { "a..io", false },
        { "a.i", false },      { "a.i0", false },      { "-a.io", false },  { "a-.io", false },
        { "a--b.io", false },  { "a_b.io", false },    { "a.io.", false },  { "a b.io", false },
        { "xn--a.io", false }, { "a.-io", false },     { "a.io-", false },  { "a.b-c", false },
    };

    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        struct rk_claims c = claims_of("x", "{}");

        empty(state);
        c.account_domain = cases[i].text;
        c.account_domain_category = "private";
        done(sign_in(&many, &c), &err);
        if (ask("SELECT count(*) FROM account WHERE is_primary") != cases[i].good)
            fail_msg("\"%s\" was taken for the other", cases[i].text);
    }
}

static void the_owner_of_an_account_without_a_domain_brings_it(void **state)
{
    struct rk_claims a = claims_of("a", "{}"), b = claims_of("b", "{}"), c = claims_of("c", "{}");
    char first[RK_XID_LEN + 1];

    (void)state;
    done(sign_in(&many, &a), &err);
    memcpy(first, got.account_id, sizeof(first));
    a.account_domain = b.account_domain = c.account_domain = "acme.test";
    a.account_domain_category = b.account_domain_category = c.account_domain_category = "private";
    done(sign_in(&many, &a), &err);
    done(sign_in(&many, &b), &err);
    assert_string_equal(got.account_id, first);
    /* It is given once: another account of theirs stays its own. */
    c.account_domain = "";
    done(sign_in(&many, &c), &err);
    c.account_domain = "acme.test";
    done(sign_in(&many, &c), &err);
    assert_string_not_equal(got.account_id, first);
    assert_int_equal(ask("SELECT count(*) FROM account WHERE domain = 'acme.test'"), 1);
}

static void a_token_for_another_account_is_refused(void **state)
{
    struct rk_claims c = claims_of("owner", "{}");

    (void)state;
    come(&single, "owner");
    c.account_id = got.account_id;
    done(sign_in(&single, &c), &err);
    c.account_id = "d1e2f3a4b5c6d7e8f9g0";
    assert_int_equal(sign_in(&single, &c), RK_UNAUTHENTICATED);
    c.user_id = "stranger";
    assert_int_equal(sign_in(&single, &c), RK_UNAUTHENTICATED);
    assert_int_equal(ask("SELECT count(*) FROM users"), 1);
}

static void who_cannot_sign_in_does_not(void **state)
{
    struct rk_claims c = claims_of("robot", "{}");
    char sub[RK_USER_ID_MAX], text[RK_USER_ID_MAX + 10];

    (void)state;
    come(&single, "owner");
    pg_must(pg, "INSERT INTO users (id, account_id, role, is_service_user) SELECT 'robot', id, "
                "'admin', true FROM account");
    assert_int_equal(sign_in(&single, &c), RK_UNAUTHENTICATED);
    /* Our own users have a row from the beginning. */
    assert_true(rk_subject_encode("0b9a", "local", sub));
    c.user_id = sub;
    assert_int_equal(sign_in(&embedded, &c), RK_UNAUTHENTICATED);
    c.user_id = "";
    assert_int_equal(sign_in(&single, &c), RK_UNAUTHENTICATED);
    c.user_id = "a\nb";
    assert_int_equal(sign_in(&single, &c), RK_UNAUTHENTICATED);
    memset(text, 'x', sizeof(text));
    text[RK_USER_ID_MAX] = '\0';
    c.user_id = text;
    assert_int_equal(sign_in(&single, &c), RK_UNAUTHENTICATED);
    assert_int_equal(ask("SELECT count(*) FROM users"), 2);
    text[RK_USER_ID_MAX - 1] = '\0';
    done(sign_in(&single, &c), &err);
    assert_int_equal(ask("SELECT count(*) FROM users"), 3);
}

static void whoever_was_deleted_comes_back_with_a_new_token_only(void **state)
{
    struct rk_claims c = claims_of("second", "{}");

    (void)state;
    team(NO_APPROVAL);
    done(sign_in(&single, &c), &err);
    done(rk_user_delete(pg, &actor, "second", &bell, &err), &err);
    assert_int_equal(sign_in(&single, &c), RK_UNAUTHENTICATED);
    assert_int_equal(ask("SELECT count(*) FROM users"), 1);
    c.issued_s = rk_wall_s() + 1;
    done(sign_in(&single, &c), &err);
    assert_true(got.joined);
}

static void an_empty_name_is_filled_later_and_a_name_stays(void **state)
{
    struct rk_claims c = claims_of("owner", "{}");

    (void)state;
    come(&single, "owner");
    c.name = "Ada";
    c.email = "ada@team.test";
    done(sign_in(&single, &c), &err);
    assert_int_equal(ask("SELECT count(*) FROM users WHERE name = 'Ada' AND email = "
                         "'ada@team.test'"),
                     1);
    c.name = "Bob";
    c.email = "bob@team.test";
    done(sign_in(&single, &c), &err);
    assert_int_equal(ask("SELECT count(*) FROM users WHERE name = 'Ada' AND email = "
                         "'ada@team.test'"),
                     1);
}

static void a_newer_login_is_told_once(void **state)
{
    struct rk_claims c = claims_of("owner", "{}");

    (void)state;
    c.auth_time_s = rk_wall_s() - 7200;
    done(sign_in(&single, &c), &err);
    assert_int_equal(events("dashboard.login"), 0); /* the first is the join */
    c.auth_time_s += 60;
    for (int i = 0; i < 3; i++)
        done(sign_in(&single, &c), &err);
    assert_int_equal(events("dashboard.login"), 1);
    assert_int_equal(ask("SELECT extract(epoch FROM last_login)::bigint FROM users"),
                     c.auth_time_s);
    c.auth_time_s -= 30;
    done(sign_in(&single, &c), &err);
    assert_int_equal(events("dashboard.login"), 1);
    /* An agent's login is none of the dashboard's. */
    c.auth_time_s += 90;
    done(rk_sign_in(pg, &single, &c, false, arena, &got, &err), &err);
    assert_int_equal(events("dashboard.login"), 1);
    assert_int_equal(ask("SELECT extract(epoch FROM last_login)::bigint FROM users"),
                     c.auth_time_s);
    /* Without auth_time each renewed token looks new: only after an hour. */
    c.issued_s = c.auth_time_s + 3599;
    c.auth_time_s = 0;
    done(sign_in(&single, &c), &err);
    assert_int_equal(events("dashboard.login"), 1);
    c.issued_s += 2;
    done(sign_in(&single, &c), &err);
    assert_int_equal(events("dashboard.login"), 2);
    /* A clock that is far ahead does not keep later logins from counting. */
    c.auth_time_s = rk_wall_s() + 86400;
    done(sign_in(&single, &c), &err);
    assert_int_equal(events("dashboard.login"), 2);
}

/* --- two at once --- */

struct racer {
    pthread_t thread;
    pthread_barrier_t *gate;
    struct rk_pg *pg;
    const struct rk_sign_in_rules *rules;
    char sub[40];
    int r;
    struct rk_signed_in got;
    struct rk_err err;
};

static void *race(void *arg)
{
    struct racer *x = arg;
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new((size_t)1 << 20);
    struct rk_claims c = claims_of(x->sub, "{}");

    c.account_domain = "acme.test";
    c.account_domain_category = "private";
    pthread_barrier_wait(x->gate);
    do {
        x->r = rk_sign_in(x->pg, x->rules, &c, true, a, &x->got, &x->err);
    } while (x->r == RK_CONFLICT);
    return NULL;
}

/* Rounds of two first logins on two connections; a round in two is the same person twice. */
static void race_rounds(const struct rk_sign_in_rules *rules)
{
    pthread_barrier_t gate;
    struct racer x[2];
    int64_t joined = 0;

    memset(x, 0, sizeof(x));
    pthread_barrier_init(&gate, NULL, 2);
    for (size_t k = 0; k < 2; k++) {
        x[k].pg = rk_pg_new(fx.conninfo, "race");
        x[k].gate = &gate;
        x[k].rules = rules;
    }
    for (int round = 0; round < 200; round++) {
        bool same = round % 2 == 0;

        pg_must(pg, "DELETE FROM account");
        for (size_t k = 0; k < 2; k++)
            snprintf(x[k].sub, sizeof(x[k].sub), "user %d %zu", round, same ? 0 : k);
        for (size_t k = 0; k < 2; k++)
            assert_int_equal(pthread_create(&x[k].thread, NULL, race, &x[k]), 0);
        for (size_t k = 0; k < 2; k++) {
            pthread_join(x[k].thread, NULL);
            done(x[k].r, &x[k].err);
        }
        assert_string_equal(x[0].got.account_id, x[1].got.account_id);
        assert_int_equal(x[0].got.joined + x[1].got.joined, same ? 1 : 2);
        joined += x[0].got.joined + x[1].got.joined;
        assert_int_equal(ask("SELECT (SELECT count(*) FROM account) * 100 + (SELECT count(*) FROM "
                             "users WHERE role = 'owner') * 10 + (SELECT count(*) FROM users)"),
                         same ? 111 : 112);
        assert_int_equal(ask("SELECT count(*) FROM event WHERE code = 'user.join'"), same ? 1 : 2);
    }
    assert_int_equal(joined, 300);
    for (size_t k = 0; k < 2; k++)
        rk_pg_free(x[k].pg);
    pthread_barrier_destroy(&gate);
}

static void two_first_logins_at_once_make_one_account_and_one_owner(void **state)
{
    (void)state;
    race_rounds(&single);
}

static void so_do_two_of_one_domain(void **state)
{
    (void)state;
    race_rounds(&many);
}

/* --- what it costs --- */

static int64_t statements(void)
{
    static const struct rk_pg_stmt st = {
        "test_statements", "SELECT coalesce(sum(generic_plans + custom_plans), 0)::bigint FROM "
                           "pg_prepared_statements WHERE statement NOT LIKE "
                           "'%pg_prepared_statements%'"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;

    done(rk_pg_run0(pg, &st, &res, &err), &err);
    return rk_pg_int(res, 0, 0);
}

static void a_token_that_changes_nothing_costs_one_read(void **state)
{
    struct rk_claims c = claims_of("owner", "{\"teams\":[\"red\",\"api\"]}");
    int64_t before, before_serial;
    char group[RK_XID_LEN + 1];

    (void)state;
    team(FOLLOW);
    make_group("api", group);
    c.auth_time_s = rk_wall_s() - 10;
    done(sign_in(&single, &c), &err);
    done(sign_in(&single, &c), &err);
    before = statements();
    before_serial = serial();
    for (int i = 0; i < 10; i++)
        done(sign_in(&single, &c), &err);
    assert_int_equal(statements() - before, 10);
    assert_int_equal(serial(), before_serial);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, empty)
    const struct CMUnitTest tests[] = {
        T(the_first_makes_the_account_and_owns_it),
        T(whoever_comes_later_joins_and_waits_for_approval),
        T(who_exists_before_the_first_login_need_not_be_approved),
        T(an_account_without_its_domain_is_joined_all_the_same),
        T(several_accounts_end_the_single_one_but_not_with_our_own_provider),
        T(who_comes_by_a_tenants_provider_belongs_to_that_tenant),
        T(a_private_domain_shares_an_account_and_others_do_not),
        T(what_is_a_domain),
        T(the_owner_of_an_account_without_a_domain_brings_it),
        T(a_token_for_another_account_is_refused),
        T(who_cannot_sign_in_does_not),
        T(whoever_was_deleted_comes_back_with_a_new_token_only),
        T(an_empty_name_is_filled_later_and_a_name_stays),
        T(a_newer_login_is_told_once),
        T(two_first_logins_at_once_make_one_account_and_one_owner),
        T(so_do_two_of_one_domain),
        T(a_token_that_changes_nothing_costs_one_read),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
