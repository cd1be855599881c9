/* What follows from what a directory says, against a real server. */

#include "libcommon/account/rules/scim.h"
#include "libcommon/account/rules/sign_in.h"
#include "libcommon/account/rules/subject.h"
#include "tests/support/account_claims.h"
#include "tests/support/account_rules.h"

#define CONNECTOR "conn"

static struct rk_scim scim;
static char token[RK_PAT_LEN + 1];
static char user_id[RK_USER_ID_MAX]; /* of externalId x1 */
static struct rk_err err;

static int64_t ask(const char *sql)
{
    return pg_ask(&fx, sql);
}

static void integrate(const char *connector, const char *group_prefix, const char *user_prefix)
{
    const struct rk_str group = rk_str(group_prefix), user = rk_str(user_prefix);
    const struct rk_scim_input in = { .provider = "okta",
                                      .connector_id = connector,
                                      .group_prefixes = &group,
                                      .group_prefixes_n = group.n > 0,
                                      .user_group_prefixes = &user,
                                      .user_group_prefixes_n = user.n > 0 };
    int64_t id;

    done(rk_scim_create(pg, &actor, &in, &id, token, &err), &err);
    scim.default_domain = "d.test";
    done(rk_scim_find(pg, rk_str(token), &scim, &err), &err);
    assert_int_equal(scim.id, id);
}

static int fresh(void **state)
{
    if (account_fresh(state) < 0)
        return -1;
    err = (struct rk_err){ 0 };
    pg_must(pg, "INSERT INTO connector (id, account_id, type, name, client_id, sealed_secret) "
                "SELECT x, id, 'oidc', 'c', 'c', '' FROM account, unnest(ARRAY['" CONNECTOR
                "', 'elsewhere']) AS x");
    return rk_subject_encode("x1", CONNECTOR, user_id) ? 0 : -1;
}

static struct rk_scim_person person(const char *name, const char *external_id, bool active)
{
    return (struct rk_scim_person){ .user_name = name,
                                    .external_id = external_id,
                                    .name = name,
                                    .email = name,
                                    .active = active,
                                    .resource = RK_STR("{}") };
}

static struct rk_scim_change *begin(void)
{
    struct rk_scim_change *sc = NULL;

    done(rk_scim_begin(pg, &scim, &sc, &err), &err);
    return sc;
}

static void commit(struct rk_scim_change *sc)
{
    done(rk_scim_commit(&sc, &bell, &err), &err);
}

static void add_user(const char *name, const char *external_id, bool active, char id[37])
{
    struct rk_scim_person p = person(name, external_id, active);
    struct rk_scim_change *sc = begin();

    done(rk_scim_user_create(sc, &p, id, &err), &err);
    commit(sc);
}

static void set_active(const char *id, const char *name, const char *external_id, bool active)
{
    struct rk_scim_person p = person(name, external_id, active);
    struct rk_scim_change *sc = begin();

    done(rk_scim_user_update(sc, id, &p, &err), &err);
    commit(sc);
}

static void add_group(const char *name, char id[37])
{
    struct rk_scim_change *sc = begin();

    done(rk_scim_group_create(sc, name, "", id, &err), &err);
    commit(sc);
}

static void members(const char *group, enum rk_scim_members how, const char *a, const char *b)
{
    const struct rk_str ids[] = { rk_str(a), rk_str(b) };
    struct rk_scim_change *sc = begin();

    done(rk_scim_group_members(sc, group, how, ids, (size_t)(a != NULL) + (b != NULL), &err), &err);
    commit(sc);
}

static int64_t users(const char *where)
{
    char sql[400];

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM users WHERE %s", where);
    return ask(sql);
}

static int64_t logged(const char *like)
{
    char sql[300];

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM scim_log WHERE message LIKE '%s'", like);
    return ask(sql);
}

/* A peer of the user with externalId x1, connected. */
static void give_peer(void)
{
    two_peers();
    pg_must(pg, "UPDATE peer SET user_id = (SELECT user_id FROM scim_user WHERE external_id = "
                "'x1'), login_expiration_enabled = true WHERE id = '" A "'");
    pg_must(pg, "INSERT INTO peer_status (peer_id, connected) SELECT id, true FROM peer");
}

/* --- integrations --- */

static void a_token_is_its_integrations_until_it_is_replaced(void **state)
{
    struct rk_scim found = { 0 };
    char old[RK_PAT_LEN + 1];

    (void)state;
    integrate("", "", "");
    memcpy(old, token, sizeof(old));
    assert_int_equal(strncmp(old, "nbs_", 4), 0);
    done(rk_scim_rotate(pg, &actor, scim.id, token, &err), &err);
    refused(rk_scim_find(pg, rk_str(old), &found, &err), RK_UNAUTHENTICATED, &err, "token invalid");
    done(rk_scim_find(pg, rk_str(token), &found, &err), &err);
    refused(rk_scim_find(pg, RK_STR("nbs_none"), &found, &err), RK_UNAUTHENTICATED, &err,
            "token invalid");
    assert_int_equal(ask("SELECT count(*) FROM scim_integration WHERE token_masked LIKE "
                         "'nbs\\_____****' AND last_synced_at IS NOT NULL"),
                     1);
    assert_int_equal(events("integration.create"), 1);
    assert_int_equal(events("integration.update"), 1);
}

static void an_integration_that_is_switched_off_does_nothing(void **state)
{
    const struct rk_scim_input off = { .enabled = &(bool){ false } };
    struct rk_scim_change *sc = NULL;
    char id[37];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("a@x", "x1", true, id);
    done(rk_scim_update(pg, &actor, scim.id, &off, &bell, &err), &err);
    refused(rk_scim_find(pg, rk_str(token), &scim, &err), RK_DENIED, &err,
            "the integration is disabled");
    refused(rk_scim_begin(pg, &scim, &sc, &err), RK_DENIED, &err, "the integration is disabled");
    assert_int_equal(users("issued = 'integration' AND NOT blocked"), 1);
    done(rk_scim_delete(pg, &actor, scim.id, &err), &err);
    assert_int_equal(users("issued = 'integration'"), 0);
    assert_int_equal(users("issued = 'api'"), 2);
    refused(rk_scim_delete(pg, &actor, scim.id, &err), RK_NOT_FOUND, &err,
            "scim integration not found");
}

static void a_connector_is_one_of_the_account(void **state)
{
    const struct rk_scim_input in = { .provider = "okta", .connector_id = "nope" };
    int64_t id;

    (void)state;
    refused(rk_scim_create(pg, &actor, &in, &id, token, &err), RK_INVALID, &err,
            "connector nope not found");
}

/* --- people --- */

static void somebody_whose_id_is_known_is_a_user_at_once(void **state)
{
    char id[37], sql[700];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("a@x", "x1", true, id);
    snprintf(sql, sizeof(sql),
             "id = '%s' AND role = 'user' AND issued = 'integration' AND NOT blocked AND NOT "
             "pending_approval AND email = 'a@x'",
             user_id);
    assert_int_equal(users(sql), 1);
    assert_int_equal(events("user.create"), 1);
    add_user("b@x", "x2", false, id);
    assert_int_equal(users("issued = 'integration'"), 1);
    set_active(id, "b@x", "x2", true);
    assert_int_equal(users("issued = 'integration'"), 2);
    add_user("c@x", "", true, id);
    assert_int_equal(users("issued = 'integration'"), 2);
}

static void who_is_deactivated_is_cut_off_and_comes_back(void **state)
{
    char id[37];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("a@x", "x1", true, id);
    give_peer();
    set_active(id, "a@x", "x1", false);
    assert_int_equal(users("blocked AND issued = 'integration'"), 1);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE login_expired AND id = '" A "'"), 1);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE login_expired"), 1);
    assert_int_equal(events("user.block"), 1);
    assert_int_equal(events_with("peer.login.expire", "reason", "blocked owner account"), 1);
    assert_int_equal((int64_t)bell.serial, serial());
    set_active(id, "a@x", "x1", true);
    assert_int_equal(users("blocked"), 0);
    assert_int_equal(events("user.unblock"), 1);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE login_expired"), 1);
}

static void a_block_by_an_administrator_stays(void **state)
{
    char id[37];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("a@x", "x1", true, id);
    pg_must(pg, "UPDATE users SET blocked = true WHERE issued = 'integration'");
    set_active(id, "a2@x", "x1", true);
    assert_int_equal(users("blocked AND email = 'a2@x'"), 1);
    set_active(id, "a2@x", "x1", false);
    set_active(id, "a2@x", "x1", true);
    assert_int_equal(users("blocked"), 1);
    pg_must(pg, "UPDATE users SET blocked = false WHERE issued = 'integration'");
    set_active(id, "a2@x", "x1", false);
    assert_int_equal(users("blocked"), 1);
}

static void the_owner_is_never_locked_out_and_roles_are_never_touched(void **state)
{
    struct rk_scim_person p;
    struct rk_scim_change *sc;
    char id[37];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("a@x", "x1", true, id);
    pg_must(pg, "UPDATE users SET role = 'admin' WHERE role = 'owner'");
    pg_must(pg, "UPDATE users SET role = 'owner' WHERE issued = 'integration'");
    p = person("a@x", "x1", false);
    sc = begin();
    refused(rk_scim_user_update(sc, id, &p, &err), RK_PRECONDITION, &err,
            "the owner of the account can't be deactivated");
    rk_scim_abort(sc);
    sc = begin();
    refused(rk_scim_user_delete(sc, id, &err), RK_PRECONDITION, &err,
            "the owner of the account can't be deleted");
    rk_scim_abort(sc);
    set_active(id, "other@x", "x1", true);
    assert_int_equal(users("role = 'owner' AND NOT blocked AND email = 'other@x'"), 1);
}

static void names_and_ids_are_one_persons(void **state)
{
    struct rk_scim_person p = person("A@X", "x2", true);
    struct rk_scim_change *sc;
    char id[37], made[37];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("a@x", "x1", true, id);
    sc = begin();
    refused(rk_scim_user_create(sc, &p, made, &err), RK_EXISTS, &err,
            "a user with this userName exists already");
    rk_scim_abort(sc);
    p = person("b@x", "x1", true);
    sc = begin();
    refused(rk_scim_user_create(sc, &p, made, &err), RK_EXISTS, &err,
            "a user with this externalId exists already");
    rk_scim_abort(sc);
    sc = begin();
    refused(rk_scim_user_update(sc, "none", &p, &err), RK_NOT_FOUND, &err, "user none not found");
    rk_scim_abort(sc);
}

static void who_signed_in_before_is_taken_over(void **state)
{
    char id[37], sql[800];

    (void)state;
    integrate(CONNECTOR, "", "");
    snprintf(sql, sizeof(sql),
             "INSERT INTO users (id, account_id, role, blocked, pending_approval) SELECT '%s', id, "
             "'auditor', true, true FROM account",
             user_id);
    pg_must(pg, sql);
    add_user("a@x", "x1", true, id);
    assert_int_equal(users("role = 'auditor' AND issued = 'integration' AND NOT blocked AND NOT "
                           "pending_approval AND email = 'a@x'"),
                     1);
}

/* The id under which x1 signs in, where the integration says by which connector, and where not. */
static void signed_in_before(const char *connector, const char *role, bool waits)
{
    char sql[900];

    integrate(connector, "", "");
    snprintf(sql, sizeof(sql),
             "INSERT INTO users (id, account_id, role, blocked, pending_approval) SELECT '%s', id, "
             "'%s', %d = 1, %d = 1 FROM account",
             connector[0] == '\0' ? "x1" : user_id, role, waits, waits);
    pg_must(pg, sql);
}

static void who_signed_in_before_is_deactivated_by_the_first_word(void **state)
{
    static const char *const connectors[] = { CONNECTOR, "" };
    char id[37];

    for (size_t i = 0; i < RK_COUNT(connectors); i++) {
        if (i > 0)
            assert_int_equal(fresh(state), 0);
        signed_in_before(connectors[i], "user", i == 0);
        add_user("a@x", "x1", false, id);
        assert_int_equal(users("blocked AND NOT pending_approval AND issued = 'integration'"), 1);
        assert_int_equal(events("user.block"), 1);
        set_active(id, "a@x", "x1", true);
        assert_int_equal(users("blocked"), 0);
    }
}

static void without_a_connector_who_signed_in_before_is_the_directorys(void **state)
{
    struct rk_scim_change *sc;
    char id[37], other[37], group[37];

    (void)state;
    signed_in_before("", "user", false);
    add_user("a@x", "x1", true, id);
    add_user("b@x", "x2", true, other); /* has not signed in */
    assert_int_equal(users("issued = 'integration'"), 1);
    add_group("g", group);
    members(group, RK_SCIM_ADD, id, other);
    assert_int_equal(users("id = 'x1' AND cardinality(auto_groups) = 1"), 1);
    give_peer();
    set_active(id, "a@x", "x1", false);
    assert_int_equal(users("id = 'x1' AND blocked"), 1);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE login_expired AND id = '" A "'"), 1);
    sc = begin();
    done(rk_scim_user_delete(sc, id, &err), &err);
    done(rk_scim_user_delete(sc, other, &err), &err);
    commit(sc);
    assert_int_equal(users("id = 'x1'"), 0);
}

/* An integration of before may have left somebody who could have been. */
static void who_was_never_bound_is_deleted_all_the_same(void **state)
{
    struct rk_scim_change *sc;
    char id[37];

    (void)state;
    signed_in_before("", "user", false);
    add_user("a@x", "x1", true, id);
    pg_must(pg, "UPDATE scim_user SET user_id = NULL");
    sc = begin();
    done(rk_scim_user_delete(sc, id, &err), &err);
    commit(sc);
    assert_int_equal(users("id = 'x1'"), 0);
}

static void an_owner_who_signed_in_before_keeps_access(void **state)
{
    char id[37];

    (void)state;
    pg_must(pg, "UPDATE users SET role = 'admin' WHERE role = 'owner'");
    signed_in_before("", "owner", false);
    add_user("a@x", "x1", false, id);
    assert_int_equal(users("id = 'x1' AND NOT blocked AND role = 'owner'"), 1);
    assert_int_equal(logged("%keeps access"), 1);
}

static void who_signed_in_before_and_is_in_no_such_group_has_no_access(void **state)
{
    char id[37], vpn[37], sql[800];

    (void)state;
    integrate(CONNECTOR, "", "vpn-");
    snprintf(sql, sizeof(sql),
             "INSERT INTO users (id, account_id, role) SELECT '%s', id, 'user' FROM account",
             user_id);
    pg_must(pg, sql);
    add_user("a@x", "x1", true, id);
    assert_int_equal(users("blocked AND issued = 'integration'"), 1);
    add_group("vpn-all", vpn);
    members(vpn, RK_SCIM_ADD, id, NULL);
    assert_int_equal(users("blocked"), 0);
}

static void a_user_of_another_account_is_left_alone(void **state)
{
    char id[37], sql[1200];

    (void)state;
    integrate(CONNECTOR, "", "");
    snprintf(
        sql, sizeof(sql),
        "INSERT INTO account (id, created_by, network_id, net4, settings, onboarding, "
        "is_primary) SELECT 'other', 'x', 'n', net4, settings, onboarding, false FROM account; "
        "INSERT INTO users (id, account_id, role) VALUES ('%s', 'other', 'user')",
        user_id);
    pg_must(pg, sql);
    add_user("a@x", "x1", false, id);
    set_active(id, "a@x", "x1", true);
    assert_int_equal(users("account_id = 'other' AND issued = 'api'"), 1);
    assert_int_equal(logged("%another integration already"), 2);
}

static void who_is_deleted_goes_with_the_peers(void **state)
{
    struct rk_scim_change *sc;
    char id[37], group[37];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("a@x", "x1", true, id);
    add_group("g", group);
    members(group, RK_SCIM_ADD, id, NULL);
    give_peer();
    sc = begin();
    done(rk_scim_user_delete(sc, id, &err), &err);
    commit(sc);
    assert_int_equal(users("issued = 'integration'"), 0);
    assert_int_equal(ask("SELECT count(*) FROM peer"), 1);
    assert_int_equal(ask("SELECT count(*) FROM scim_user"), 0);
    assert_int_equal(events("user.delete"), 1);
}

static void who_routes_for_a_network_is_cut_off_and_stays(void **state)
{
    struct rk_scim_change *sc;
    char id[37];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("a@x", "x1", true, id);
    give_peer();
    pg_must(pg, "INSERT INTO network (id, public_id, account_id, name) SELECT 'n', 'n', id, 'n' "
                "FROM account; INSERT INTO network_router (id, public_id, account_id, network_id, "
                "peer_id, metric, masquerade, enabled) SELECT 'r', 'r', id, 'n', '" A
                "', 1, true, true FROM account");
    sc = begin();
    done(rk_scim_user_delete(sc, id, &err), &err);
    commit(sc);
    assert_int_equal(users("blocked"), 1);
    assert_int_equal(ask("SELECT count(*) FROM peer WHERE login_expired"), 1);
    assert_int_equal(ask("SELECT count(*) FROM scim_user"), 0);
    assert_int_equal(logged("%blocked and not deleted%"), 1);
}

/* --- groups --- */

static void members_and_their_peers_are_in_the_accounts_group(void **state)
{
    char a[37], b[37], group[37];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("a@x", "x1", true, a);
    add_user("b@x", "x2", true, b);
    give_peer();
    add_group("g", group);
    assert_int_equal(
        ask("SELECT count(*) FROM account_group WHERE name = 'g' AND issued = 'integration'"), 1);
    members(group, RK_SCIM_ADD, a, b);
    assert_int_equal(users("cardinality(auto_groups) = 1"), 2);
    assert_int_equal(ask("SELECT count(*) FROM group_peer WHERE peer_id = '" A "'"), 1);
    assert_int_equal(events("user.group.add"), 2);
    assert_int_equal(touched("group_peer"), 1);
    members(group, RK_SCIM_ADD, a, b);
    assert_int_equal(events("user.group.add"), 2);
    members(group, RK_SCIM_REMOVE, a, "nobody");
    assert_int_equal(users("cardinality(auto_groups) = 1"), 1);
    assert_int_equal(ask("SELECT count(*) FROM group_peer WHERE peer_id = '" A "'"), 0);
    assert_int_equal(events("user.group.delete"), 1);
    members(group, RK_SCIM_REPLACE, a, "nobody");
    assert_int_equal(users("cardinality(auto_groups) = 1 AND email = 'a@x'"), 1);
    assert_int_equal(users("cardinality(auto_groups) = 1"), 1);
    assert_int_equal(logged("%1 members are unknown: nobody"), 1);
    members(group, RK_SCIM_REPLACE, NULL, NULL);
    assert_int_equal(users("cardinality(auto_groups) > 0"), 0);
}

static void other_groups_of_a_user_stay(void **state)
{
    char a[37], group[37], own[RK_XID_LEN + 1], sql[200];

    (void)state;
    integrate(CONNECTOR, "", "");
    make_group("own", own);
    add_user("a@x", "x1", true, a);
    snprintf(sql, sizeof(sql), "UPDATE users SET auto_groups = '{%s}' WHERE issued = 'integration'",
             own);
    pg_must(pg, sql);
    add_group("g", group);
    members(group, RK_SCIM_ADD, a, NULL);
    assert_int_equal(users("cardinality(auto_groups) = 2"), 1);
    members(group, RK_SCIM_REMOVE, a, NULL);
    snprintf(sql, sizeof(sql), "auto_groups = '{%s}'", own);
    assert_int_equal(users(sql), 1);
}

static void a_name_is_one_groups(void **state)
{
    struct rk_scim_change *sc;
    char own[RK_XID_LEN + 1], group[37], made[37];

    (void)state;
    integrate(CONNECTOR, "", "");
    make_group("own", own);
    add_group("g", group);
    sc = begin();
    refused(rk_scim_group_create(sc, "own", "", made, &err), RK_EXISTS, &err,
            "a group named own exists already in the account");
    rk_scim_abort(sc);
    sc = begin();
    refused(rk_scim_group_create(sc, "G", "", made, &err), RK_EXISTS, &err,
            "a group named G exists already");
    rk_scim_abort(sc);
    sc = begin();
    refused(rk_scim_group_update(sc, group, "own", NULL, &err), RK_EXISTS, &err,
            "a group named own exists already in the account");
    rk_scim_abort(sc);
    sc = begin();
    done(rk_scim_group_update(sc, group, "h", "e", &err), &err);
    commit(sc);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE name = 'h'"), 1);
    assert_int_equal(events("group.update"), 1);
}

static void a_group_that_is_used_is_left_empty_and_taken_up_again(void **state)
{
    struct rk_scim_change *sc;
    char a[37], group[37];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("a@x", "x1", true, a);
    give_peer();
    add_group("g", group);
    members(group, RK_SCIM_ADD, a, NULL);
    pg_must(pg, "INSERT INTO setup_key (id, account_id, name, hash, masked, type, auto_groups) "
                "SELECT 'k', g.account_id, 'k', 'h', 'm', 'reusable', ARRAY[g.id] FROM "
                "account_group g WHERE g.name = 'g'");
    sc = begin();
    done(rk_scim_group_delete(sc, group, &err), &err);
    commit(sc);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE name = 'g'"), 1);
    assert_int_equal(ask("SELECT count(*) FROM group_peer m JOIN account_group g ON g.id = "
                         "m.group_id WHERE g.name = 'g'"),
                     0);
    assert_int_equal(users("cardinality(auto_groups) > 0"), 0);
    assert_int_equal(logged("group g is kept, empty:%"), 1);
    add_group("g", group);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE name = 'g'"), 1);
    pg_must(pg, "DELETE FROM setup_key");
    sc = begin();
    done(rk_scim_group_delete(sc, group, &err), &err);
    commit(sc);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE name = 'g'"), 0);
    assert_int_equal(events("group.delete"), 1);
}

/* --- prefixes --- */

static void prefixes_say_which_groups_there_are_and_who_comes_in(void **state)
{
    const struct rk_str none[1] = { { NULL, 0 } };
    const struct rk_scim_input everybody = { .has_group_prefixes = true,
                                             .group_prefixes = none,
                                             .has_user_group_prefixes = true,
                                             .user_group_prefixes = none };
    struct rk_scim_change *sc;
    char a[37], b[37], other[37], vpn[37];

    (void)state;
    integrate(CONNECTOR, "vpn-", "vpn-");
    add_user("a@x", "x1", true, a);
    add_user("b@x", "x2", true, b);
    add_group("other", other);
    add_group("vpn-all", vpn);
    members(other, RK_SCIM_ADD, a, b);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'integration'"), 1);
    assert_int_equal(users("issued = 'integration'"), 0);
    members(vpn, RK_SCIM_ADD, a, NULL);
    assert_int_equal(users("issued = 'integration' AND NOT blocked AND cardinality(auto_groups) = "
                           "1"),
                     1);
    members(vpn, RK_SCIM_REMOVE, a, NULL);
    assert_int_equal(users("blocked"), 1);
    sc = begin();
    done(rk_scim_group_update(sc, other, "vpn-other", NULL, &err), &err);
    commit(sc);
    assert_int_equal(users("issued = 'integration' AND NOT blocked AND cardinality(auto_groups) = "
                           "1"),
                     2);
    sc = begin();
    done(rk_scim_group_update(sc, other, "other", NULL, &err), &err);
    commit(sc);
    assert_int_equal(users("blocked AND cardinality(auto_groups) = 0"), 2);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'integration'"), 1);
    done(rk_scim_update(pg, &actor, scim.id, &everybody, &bell, &err), &err);
    assert_int_equal(ask("SELECT count(*) FROM account_group WHERE issued = 'integration'"), 2);
    assert_int_equal(users("issued = 'integration' AND NOT blocked AND cardinality(auto_groups) = "
                           "1"),
                     2);
}

/* --- the first sign-in --- */

static int sign_in(const char *id, const char *email, bool verified, struct rk_signed_in *got)
{
    static const struct rk_sign_in_rules embedded = { .embedded = true,
                                                      .single_account_domain = "d.test",
                                                      .default_domain = "d.test" };
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(1 << 20);
    struct rk_claims c = claims_of(id, "{}");
    int r;

    c.email = email;
    c.email_verified = verified;
    r = rk_sign_in(pg, &embedded, &c, true, arena, got, &err);
    got->role = got->domain = NULL; /* they were in the arena */
    return r;
}

static void a_verified_address_of_that_connector_binds_for_good(void **state)
{
    struct rk_signed_in got;
    char a[37], group[37], other[RK_USER_ID_MAX], sql[800];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("Ann@x", "", true, a);
    add_group("g", group);
    members(group, RK_SCIM_ADD, a, NULL);
    assert_int_equal(users("issued = 'integration'"), 0);

    /* Not verified, and of another connector: somebody else, who waits for approval. */
    assert_true(rk_subject_encode("y1", CONNECTOR, other));
    done(sign_in(other, "ann@x", false, &got), &err);
    assert_true(got.pending_approval);
    assert_true(rk_subject_encode("y1", "elsewhere", other));
    done(sign_in(other, "ann@x", true, &got), &err);
    assert_true(got.pending_approval);
    assert_int_equal(ask("SELECT count(*) FROM scim_user WHERE user_id IS NOT NULL"), 0);

    done(sign_in(user_id, "ann@x", true, &got), &err);
    assert_true(got.joined && !got.pending_approval && !got.blocked);
    snprintf(sql, sizeof(sql),
             "id = '%s' AND issued = 'integration' AND cardinality(auto_groups) = 1", user_id);
    assert_int_equal(users(sql), 1);
    set_active(a, "Ann@x", "", false);
    assert_int_equal(users("blocked AND issued = 'integration'"), 1);
}

static void who_is_not_active_is_blocked_from_the_first_sign_in(void **state)
{
    struct rk_signed_in got;
    char a[37];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("ann@x", "x1", false, a);
    done(sign_in(user_id, "other@x", true, &got), &err);
    assert_true(got.blocked && !got.pending_approval);
    assert_int_equal(users("blocked AND issued = 'integration'"), 1);
    set_active(a, "ann@x", "x1", true);
    assert_int_equal(users("blocked"), 0);
}

static void an_address_of_two_binds_neither(void **state)
{
    struct rk_signed_in got;
    char a[37];

    (void)state;
    integrate(CONNECTOR, "", "");
    add_user("ann@x", "", true, a);
    integrate(CONNECTOR, "", "");
    add_user("ann@x", "", true, a);
    done(sign_in(user_id, "ann@x", true, &got), &err);
    assert_true(got.pending_approval);
    assert_int_equal(ask("SELECT count(*) FROM scim_user WHERE user_id IS NOT NULL"), 0);
}

static void the_log_is_bounded(void **state)
{
    (void)state;
    integrate("", "", "");
    for (int i = 0; i < RK_SCIM_LOG_MAX + 50; i++)
        done(rk_scim_log(pg, scim.id, RK_SCIM_INFO, "x", &err), &err);
    assert_int_equal(ask("SELECT count(*) FROM scim_log"), RK_SCIM_LOG_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_token_is_its_integrations_until_it_is_replaced, fresh),
        cmocka_unit_test_setup(an_integration_that_is_switched_off_does_nothing, fresh),
        cmocka_unit_test_setup(a_connector_is_one_of_the_account, fresh),
        cmocka_unit_test_setup(somebody_whose_id_is_known_is_a_user_at_once, fresh),
        cmocka_unit_test_setup(who_is_deactivated_is_cut_off_and_comes_back, fresh),
        cmocka_unit_test_setup(a_block_by_an_administrator_stays, fresh),
        cmocka_unit_test_setup(the_owner_is_never_locked_out_and_roles_are_never_touched, fresh),
        cmocka_unit_test_setup(names_and_ids_are_one_persons, fresh),
        cmocka_unit_test_setup(who_signed_in_before_is_taken_over, fresh),
        cmocka_unit_test_setup(who_signed_in_before_is_deactivated_by_the_first_word, fresh),
        cmocka_unit_test_setup(without_a_connector_who_signed_in_before_is_the_directorys, fresh),
        cmocka_unit_test_setup(who_was_never_bound_is_deleted_all_the_same, fresh),
        cmocka_unit_test_setup(an_owner_who_signed_in_before_keeps_access, fresh),
        cmocka_unit_test_setup(who_signed_in_before_and_is_in_no_such_group_has_no_access, fresh),
        cmocka_unit_test_setup(a_user_of_another_account_is_left_alone, fresh),
        cmocka_unit_test_setup(who_is_deleted_goes_with_the_peers, fresh),
        cmocka_unit_test_setup(who_routes_for_a_network_is_cut_off_and_stays, fresh),
        cmocka_unit_test_setup(members_and_their_peers_are_in_the_accounts_group, fresh),
        cmocka_unit_test_setup(other_groups_of_a_user_stay, fresh),
        cmocka_unit_test_setup(a_name_is_one_groups, fresh),
        cmocka_unit_test_setup(a_group_that_is_used_is_left_empty_and_taken_up_again, fresh),
        cmocka_unit_test_setup(prefixes_say_which_groups_there_are_and_who_comes_in, fresh),
        cmocka_unit_test_setup(a_verified_address_of_that_connector_binds_for_good, fresh),
        cmocka_unit_test_setup(who_is_not_active_is_blocked_from_the_first_sign_in, fresh),
        cmocka_unit_test_setup(an_address_of_two_binds_neither, fresh),
        cmocka_unit_test_setup(the_log_is_bounded, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
