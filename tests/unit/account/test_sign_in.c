/* Signing in against a real server: who becomes a user of which account, and what a token changes.
 */

#include <pthread.h>

#include "libcommon/account/rules/access_end.h"
#include "libcommon/account/rules/sign_in.h"
#include "libcommon/account/rules/user.h"
#include "tests/support/account_claims.h"
#include "tests/support/account_rules.h"

static const struct rk_sign_in_rules single = { .single_account_domain = "team.test",
                                                .default_domain = "d.test" };
static const struct rk_sign_in_rules many = { .single_account_domain = "",
                                              .default_domain = "d.test" };
static const struct rk_sign_in_rules embedded = { .embedded = true,
                                                  .single_account_domain = "team.test",
                                                  .default_domain = "d.test" };

static struct rk_arena *arena;
static struct rk_signed_in got;
static struct rk_err err;

static int empty(void **state)
{
    (void)state;
    pg_must(pg, "DELETE FROM account");
    rk_arena_free(arena);
    arena = rk_arena_new((size_t)16 << 20);
    err = (struct rk_err){ 0 };
    return 0;
}

static int sign_in(const struct rk_sign_in_rules *rules, const struct rk_claims *c)
{
    err = (struct rk_err){ 0 };
    return rk_sign_in(pg, rules, c, true, arena, &got, &err);
}

static void come(const struct rk_sign_in_rules *rules, const char *sub)
{
    struct rk_claims c = claims_of(sub, "{}");

    done(sign_in(rules, &c), &err);
}

static void connector(const char *id, const char *account_id)
{
    char sql[300];

    snprintf(sql, sizeof(sql),
             "INSERT INTO connector (id, account_id, type, name, client_id, sealed_secret) VALUES "
             "('%s', '%s', 'oidc', 'n', 'c', '')",
             id, account_id);
    pg_must(pg, sql);
}

static int64_t ask(const char *sql)
{
    return pg_ask(&fx, sql);
}

/* The account that `sub` signs in to, and its owner, whom nothing keeps waiting. */
static void team(const char *settings)
{
    char sql[600];

    come(&single, "owner");
    snprintf(sql, sizeof(sql), "UPDATE account SET settings = settings || '%s'", settings);
    pg_must(pg, sql);
    memcpy(acc.account_id, got.account_id, sizeof(acc.account_id));
    actor = (struct rk_actor){ .account_id = rk_arena_strdup(arena, got.account_id),
                               .user_id = "owner",
                               .is_admin = true,
                               .default_domain = "d.test" };
}

#define NO_APPROVAL "{\"extra\":{\"user_approval_required\":false}}"
#define FOLLOW                                                                                     \
    "{\"extra\":{\"user_approval_required\":false},\"jwt_groups_enabled\":true,"                   \
    "\"jwt_groups_claim_name\":\"teams\"}"

/* --- accounts and users --- */

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

/* --- groups --- */

static int64_t peers_in(const char *group)
{
    char sql[300];

    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM group_peer m JOIN account_group g ON g.id = m.group_id WHERE "
             "g.name = '%s'",
             group);
    return ask(sql);
}

static int64_t has_group(const char *user, const char *group)
{
    char sql[300];

    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM users u JOIN account_group g ON g.id = ANY(u.auto_groups) WHERE "
             "u.id = '%s' AND g.name = '%s'",
             user, group);
    return ask(sql);
}

static void follow(const char *sub, const char *json)
{
    struct rk_claims c = claims_of(sub, json);

    done(sign_in(&single, &c), &err);
    if (got.groups_err.code != 0)
        fail_msg("%s", got.groups_err.msg);
}

static void groups_follow_the_token(void **state)
{
    int64_t before;

    (void)state;
    team(FOLLOW);
    two_peers();
    pg_must(pg, "UPDATE peer SET user_id = 'owner' WHERE id = '" A "'");
    before = serial();
    follow("owner", "{\"teams\":[\"red\",7,null,\"blue\",\"red\",\"\"]}");
    assert_int_equal(serial(), before + 1);
    assert_int_equal((int64_t)got.bell.serial, serial());
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'jwt'"), 2);
    assert_int_equal(has_group("owner", "red") + has_group("owner", "blue"), 2);
    assert_int_equal(peers_in("red") + peers_in("blue"), 2);
    assert_int_equal(events_with("user.group.add", "group", "red"), 1);
    assert_int_equal(touched("group_peer"), 2);
    follow("owner", "{\"teams\":[\"blue\",\"red\"]}");
    assert_int_equal(serial(), before + 1);
    follow("owner", "{\"teams\":\"blue\"}"); /* a string is one group */
    assert_int_equal(serial(), before + 2);
    assert_int_equal(has_group("owner", "red"), 0);
    assert_int_equal(peers_in("red"), 0);
    assert_int_equal(peers_in("blue"), 1);
    assert_int_equal(events_with("user.group.delete", "group", "red"), 1);
    follow("owner", "{}"); /* no claim, no groups */
    assert_int_equal(has_group("owner", "blue"), 0);
    assert_int_equal(peers_in("blue"), 0);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'jwt'"), 2);
}

static void a_group_of_the_same_name_is_left_alone(void **state)
{
    char group[RK_XID_LEN + 1], sql[200];
    int64_t before;

    (void)state;
    team(FOLLOW);
    make_group("red", group);
    before = serial();
    follow("owner", "{\"teams\":[\"red\",\"All\"]}");
    assert_int_equal(serial(), before);
    assert_int_equal(has_group("owner", "red"), 0);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'jwt'"), 0);
    /* What an administrator gave stays, whatever the token says. */
    snprintf(sql, sizeof(sql), "UPDATE users SET auto_groups = '{%s}'", group);
    pg_must(pg, sql);
    follow("owner", "{\"teams\":[\"blue\"]}");
    assert_int_equal(has_group("owner", "red"), 1);
    assert_int_equal(has_group("owner", "blue"), 1);
    follow("owner", "{\"teams\":[]}");
    assert_int_equal(has_group("owner", "red"), 1);
    assert_int_equal(has_group("owner", "blue"), 0);
}

static void without_propagation_peers_keep_their_groups(void **state)
{
    (void)state;
    team(FOLLOW);
    pg_must(pg,
            "UPDATE account SET settings = settings || '{\"groups_propagation_enabled\":false}'");
    two_peers();
    pg_must(pg, "UPDATE peer SET user_id = 'owner'");
    follow("owner", "{\"teams\":[\"red\"]}");
    assert_int_equal(has_group("owner", "red"), 1);
    assert_int_equal(peers_in("red"), 0);
}

static void who_is_in_no_allowed_group_is_refused_and_does_not_join(void **state)
{
    struct rk_claims c = claims_of("second", "{\"teams\":[\"red\"]}");

    (void)state;
    team(FOLLOW);
    pg_must(pg, "UPDATE account SET settings = settings || '{\"jwt_allow_groups\":[\"blue\"]}'");
    assert_int_equal(sign_in(&single, &c), RK_DENIED);
    assert_string_equal(err.msg, "user does not belong to any of the allowed JWT groups");
    assert_int_equal(ask("SELECT count(*) FROM users"), 1);
    c.payload = RK_STR("{\"teams\":[\"red\",\"blue\"]}");
    done(sign_in(&single, &c), &err);
    assert_int_equal(has_group("second", "blue"), 1);
    c.payload = RK_STR("{\"teams\":[\"red\"]}");
    assert_int_equal(sign_in(&single, &c), RK_DENIED);
    assert_int_equal(has_group("second", "blue"), 1);
    /* The list means nothing while groups are not followed. */
    pg_must(pg, "UPDATE account SET settings = settings || '{\"jwt_groups_enabled\":false}'");
    done(sign_in(&single, &c), &err);
}

static void users_of_our_own_provider_keep_the_groups_they_were_given(void **state)
{
    struct rk_claims c = claims_of("", "{\"teams\":[\"red\"]}");
    char sql[800], sub[RK_USER_ID_MAX];

    (void)state;
    team(FOLLOW);
    pg_must(pg, "UPDATE account SET settings = settings || '{\"jwt_allow_groups\":[\"blue\"]}'");
    assert_true(rk_subject_encode("0b9a", "local", sub));
    snprintf(sql, sizeof(sql),
             "INSERT INTO users (id, account_id, role, password_hash) SELECT '%s', id, 'user', 'x' "
             "FROM account",
             sub);
    pg_must(pg, sql);
    c.user_id = sub;
    done(sign_in(&embedded, &c), &err);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'jwt'"), 0);
    /* Elsewhere such an id is an id like any other. */
    assert_int_equal(sign_in(&single, &c), RK_DENIED);
}

static void who_waits_or_is_blocked_brings_no_groups(void **state)
{
    (void)state;
    team("{\"jwt_groups_enabled\":true,\"jwt_groups_claim_name\":\"teams\"}");
    follow("second", "{\"teams\":[\"red\"]}");
    assert_true(got.pending_approval);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'jwt'"), 0);
    done(rk_user_approve(pg, &actor, "second", &bell, &err), &err);
    follow("second", "{\"teams\":[\"red\"]}");
    assert_int_equal(has_group("second", "red"), 1);
}

/* Each account has its own claim: the guess of the last one must not count. */
static void each_account_has_its_own_claim(void **state)
{
    struct rk_claims a = claims_of("a", "{\"x\":[\"ax\"],\"y\":[\"ay\"]}");
    struct rk_claims b = claims_of("b", "{\"x\":[\"bx\"],\"y\":[\"by\"]}");

    (void)state;
    done(sign_in(&many, &a), &err);
    done(sign_in(&many, &b), &err);
    pg_must(pg, "UPDATE account SET settings = settings || jsonb_build_object("
                "'jwt_groups_enabled', true, 'jwt_groups_claim_name', CASE created_by WHEN 'a' "
                "THEN 'x' ELSE 'y' END)");
    for (int i = 0; i < 3; i++) {
        done(sign_in(&many, &a), &err);
        done(sign_in(&many, &b), &err);
    }
    assert_int_equal(has_group("a", "ax"), 1);
    assert_int_equal(has_group("b", "by"), 1);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'jwt'"), 2);
}

/* --- the end of it --- */

static int64_t held(void)
{
    return ask("SELECT (SELECT count(*) FROM oauth_session) + (SELECT count(*) FROM oauth_grant) + "
               "(SELECT count(*) FROM oauth_code) + (SELECT count(*) FROM oauth_device WHERE "
               "answer = 'approved')");
}

/* A session, refresh tokens, a code and a device of the user, and as much of somebody else. */
static void hold(const char *user)
{
    static const char *const of[] = { "", "somebody else" };
    char sql[1200];

    pg_must(pg, "DELETE FROM oauth_session; DELETE FROM oauth_grant; DELETE FROM oauth_code; "
                "DELETE FROM oauth_device");
    for (size_t i = 0; i < RK_COUNT(of); i++) {
        const char *who = *of[i] ? of[i] : user;

        snprintf(sql, sizeof(sql),
                 "INSERT INTO oauth_session VALUES ('%zu', '%s', 'local', '{}', false, false, "
                 "now(), now(), now()); INSERT INTO oauth_grant (id, user_id, connector_id, "
                 "client_id, scope, identity, auth_time, expires_at, last_at) VALUES ('%zu', '%s', "
                 "'local', 'c', '', '{}', now(), now(), now()); INSERT INTO oauth_code (id, "
                 "client_id, redirect_uri, scope, nonce, code_challenge, session, user_id, "
                 "connector_id, identity, auth_time, good_until, expires_at) VALUES ('%zu', 'c', "
                 "'', '', '', '', '', '%s', 'local', '{}', now(), now(), now()); INSERT INTO "
                 "oauth_device (id, user_code, sealed_code, client_id, scope, remote_ip, answer, "
                 "user_id, good_until, expires_at) VALUES ('%zu', '%zu', '', 'c', '', '', "
                 "'approved', '%s', now(), now())",
                 i, who, i, who, i, who, i, i, who);
        pg_must(pg, sql);
    }
    assert_int_equal(held(), 8);
}

static void whoever_may_not_sign_in_any_more_is_signed_out(void **state)
{
    struct rk_user_input in = { .role = RK_ROLE_USER, .blocked = true };

    (void)state;
    team(NO_APPROVAL);
    come(&single, "second");
    hold("second");
    done(rk_user_update(pg, &actor, "second", &in, &bell, &err), &err);
    assert_int_equal(held(), 4);
    in.blocked = false;
    hold("second");
    done(rk_user_update(pg, &actor, "second", &in, &bell, &err), &err);
    assert_int_equal(held(), 8);
    done(rk_user_delete(pg, &actor, "second", &bell, &err), &err);
    assert_int_equal(held(), 4);
    pg_must(pg, "UPDATE account SET settings = settings || "
                "'{\"extra\":{\"user_approval_required\":true}}'");
    come(&single, "third");
    hold("third");
    done(rk_user_reject(pg, &actor, "third", &bell, &err), &err);
    assert_int_equal(held(), 4);
    hold("owner");
    done(rk_user_sessions_end(pg, "owner", &err), &err);
    assert_int_equal(held(), 4);
}

/* A grant of our own provider to `user`, and the claims of a token of it. */
static struct rk_claims granted(const char *user, enum rk_grant_use use, uint8_t byte)
{
    uint8_t id[RK_GRANT_ID_LEN];
    char jti[RK_JTI_LEN + 1], sql[400];

    memset(id, byte, sizeof(id));
    rk_jti_new(use, id, jti);
    snprintf(sql, sizeof(sql),
             "INSERT INTO oauth_grant (id, user_id, connector_id, client_id, scope, identity, "
             "auth_time, expires_at, last_at) VALUES (decode(repeat('%02x', 16), 'hex'), '%s', "
             "'local', 'netbird-dashboard', 'openid', '{}', now(), now() + interval '1 hour', "
             "now() + interval '1 hour') ON CONFLICT DO NOTHING",
             byte, user);
    pg_must(pg, sql);
    return claims_of(user, rk_arena_printf(arena, "{\"jti\":\"%s\"}", jti));
}

static void a_token_that_was_taken_back_is_refused_at_once(void **state)
{
    struct rk_claims access, id, other;

    (void)state;
    come(&single, "owner");
    access = granted("owner", RK_GRANT_ACCESS, 7);
    id = granted("owner", RK_GRANT_ID, 7);
    other = granted("owner", RK_GRANT_ACCESS, 8);
    done(sign_in(&embedded, &access), &err);
    assert_true(got.granted);
    done(sign_in(&embedded, &id), &err);
    pg_must(pg, "DELETE FROM oauth_grant WHERE id = decode(repeat('07', 16), 'hex')");
    assert_int_equal(sign_in(&embedded, &access), RK_UNAUTHENTICATED);
    assert_true(got.revoked);
    assert_int_equal(sign_in(&embedded, &id), RK_UNAUTHENTICATED);
    assert_true(got.revoked);
    assert_int_equal(rk_sign_in(pg, &embedded, &access, false, arena, &got, &err),
                     RK_UNAUTHENTICATED); /* an agent's */
    done(sign_in(&embedded, &other), &err);
    /* What another provider writes there is its own affair. */
    done(sign_in(&single, &access), &err);
    assert_false(got.granted);
    /* Whoever is blocked is told so. */
    pg_must(pg, "UPDATE users SET blocked = true WHERE id = 'owner'");
    done(sign_in(&embedded, &access), &err);
    assert_true(got.blocked);
}

static void a_token_that_was_taken_back_makes_no_user(void **state)
{
    struct rk_claims c;
    char sub[RK_USER_ID_MAX];

    (void)state;
    come(&single, "owner");
    connector("c1", got.account_id);
    assert_true(rk_subject_encode("newcomer", "c1", sub));
    c = granted(sub, RK_GRANT_ACCESS, 9);
    pg_must(pg, "DELETE FROM oauth_grant");
    assert_int_equal(sign_in(&embedded, &c), RK_UNAUTHENTICATED);
    assert_true(got.revoked);
    assert_int_equal(ask("SELECT count(*) FROM users"), 1);
    c = granted(sub, RK_GRANT_ACCESS, 9);
    done(sign_in(&embedded, &c), &err);
    assert_true(got.joined);
}

static void whoever_changes_a_password_stays_signed_in_where_it_was_changed(void **state)
{
    static const uint8_t here[RK_GRANT_ID_LEN] = { 0 };

    (void)state;
    come(&single, "owner");
    pg_must(pg, "DELETE FROM oauth_session; DELETE FROM oauth_grant");
    (void)granted("owner", RK_GRANT_ACCESS, 0);
    (void)granted("owner", RK_GRANT_ACCESS, 1);
    pg_must(pg, "UPDATE oauth_grant SET session = substr(id, 1, 1)");
    pg_must(pg, "INSERT INTO oauth_session (id, user_id, connector_id, identity, second_factor, "
                "remember, auth_time, used_at, expires_at) SELECT session, 'owner', 'local', '{}', "
                "false, false, now(), now(), now() + interval '1 hour' FROM oauth_grant");
    done(rk_user_sessions_end_others(pg, "owner", rk_strn(here, sizeof(here)), &err), &err);
    assert_int_equal(ask("SELECT count(*) FROM oauth_grant WHERE session = '\\x00'"), 1);
    assert_int_equal(ask("SELECT count(*) FROM oauth_session WHERE id = '\\x00'"), 1);
    assert_int_equal(ask("SELECT count(*) FROM oauth_grant"), 1);
    assert_int_equal(ask("SELECT count(*) FROM oauth_session"), 1);
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
        T(groups_follow_the_token),
        T(a_group_of_the_same_name_is_left_alone),
        T(without_propagation_peers_keep_their_groups),
        T(who_is_in_no_allowed_group_is_refused_and_does_not_join),
        T(users_of_our_own_provider_keep_the_groups_they_were_given),
        T(who_waits_or_is_blocked_brings_no_groups),
        T(each_account_has_its_own_claim),
        T(whoever_may_not_sign_in_any_more_is_signed_out),
        T(a_token_that_was_taken_back_is_refused_at_once),
        T(a_token_that_was_taken_back_makes_no_user),
        T(whoever_changes_a_password_stays_signed_in_where_it_was_changed),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
