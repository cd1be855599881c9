/* What a change has changed: differences, and the events they end up in. */

#include "tests/support/test.h"

#include "libcommon/account/rules/actor.h"
#include "libcommon/account/rules/pat.h"
#include "libcommon/account/peer/rules.h"
#include "libcommon/account/rules/settings.h"
#include "libcommon/account/rules/setup_key.h"
#include "libcommon/base/alloc.h"
#include "tests/support/account_rules.h"

/* `changes` of the newest event with that code, NULL without. Free it. */
static char *changes(const char *code)
{
    static const struct rk_pg_stmt st = {
        "changes", "SELECT changes::text FROM event WHERE code = $1 ORDER BY id DESC LIMIT 1"
    };
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct rk_err err = { 0 };

    if (rk_pg_run(pg, &st, &res, &err, RK_P_C(code)) < 0)
        fail_msg("%s", err.msg);
    if (rk_pg_rows(res) == 0)
        fail_msg("no event %s", code);
    return rk_pg_null(res, 0, 0) ? NULL : rk_strdup(rk_pg_str(res, 0, 0).p);
}

static void told(const char *code, const char *expected)
{
    rk_auto(rk_cfree) char *got = changes(code);

    if (!got || strcmp(got, expected) != 0)
        fail_msg("%s tells of %s", code, got ? got : "nothing");
}

/* Compares as text, members in the order of the differences. */
static void differ(const char *before, const char *after, const char *expected)
{
    json_t *b = before ? json_loads(before, 0, NULL) : NULL;
    json_t *a = after ? json_loads(after, 0, NULL) : NULL;
    json_t *d = rk_audit_diff(b, a);
    char *text = d ? json_dumps(d, JSON_COMPACT) : NULL;

    if (expected)
        assert_string_equal(text, expected);
    else
        assert_null(text);
    free(text);
    json_decref(d);
    json_decref(b);
    json_decref(a);
}

static void only_what_differs_is_told(void **state)
{
    (void)state;
    differ("{\"a\":1,\"b\":[\"x\"],\"c\":null}", "{\"a\":1,\"b\":[\"x\"]}", NULL);
    differ("{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":3}", "{\"b\":{\"before\":2,\"after\":3}}");
    differ("{\"a\":[1]}", "{\"a\":[1,2],\"b\":{}}",
           "{\"a\":{\"before\":[1],\"after\":[1,2]},\"b\":{\"before\":null,\"after\":{}}}");
    differ(NULL, "{\"a\":1,\"n\":null}", "{\"a\":{\"before\":null,\"after\":1}}");
    differ("{\"a\":1}", NULL, "{\"a\":{\"before\":1,\"after\":null}}");
    differ(NULL, NULL, NULL);
}

static void of_a_long_list_what_came_and_went_is_told(void **state)
{
    json_t *before = json_object(), *after = json_object(), *a = json_array(), *b = json_array();
    rk_auto(json_decref) json_t *diff = NULL;
    rk_auto(rk_cfree) char *text = NULL;
    char name[16];

    (void)state;
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        if (i != 0)
            json_array_append_new(b, json_string(name));
        if (i != 149)
            json_array_append_new(a, json_string(name));
    }
    json_object_set_new(before, "list", a);
    json_object_set_new(after, "list", b);
    diff = rk_audit_diff(before, after);
    text = json_dumps(diff, JSON_COMPACT);
    assert_string_equal(text, "{\"list\":{\"before\":{\"count\":149,\"removed\":[\"m0\"]},"
                              "\"after\":{\"count\":149,\"added\":[\"m149\"]}}}");
    json_decref(before);
    json_decref(after);
}

static void every_kind_can_be_looked_at(void **state)
{
    struct rk_err err = { 0 };

    (void)state;
    for (int kind = 0; kind < RK_WATCH_COUNT; kind++) {
        rk_auto(rk_change_abort) struct rk_change *ch = NULL;

        if (rk_actor_begin(pg, &actor, (enum rk_watched)kind, acc.account_id, NULL, &ch, &err) <
                0 ||
            rk_change_event(ch, "test", "sys", "x", RK_STR(""), &err) < 0 ||
            rk_change_commit(&ch, NULL, &err) < 0)
            fail_msg("kind %d: %s", kind, err.msg);
        assert_null(changes("test"));
    }
    /* What is there is found. */
    {
        static const struct {
            enum rk_watched kind;
            const char *rename;
            struct rk_pg_stmt find;
        } rows[] = {
            { RK_WATCH_PEER, "UPDATE peer SET name = 'other'", { "p", "SELECT id FROM peer" } },
            { RK_WATCH_GROUP,
              "UPDATE account_group SET name = 'other'",
              { "g", "SELECT id FROM account_group" } },
            { RK_WATCH_POLICY,
              "UPDATE policy SET name = 'other'",
              { "y", "SELECT id FROM policy" } },
            { RK_WATCH_USER, "UPDATE users SET name = 'other'", { "u", "SELECT id FROM users" } },
        };

        for (size_t i = 0; i < RK_COUNT(rows); i++) {
            rk_auto(rk_change_abort) struct rk_change *ch = NULL;
            rk_auto(rk_pg_result_free) struct rk_pg_result *id = NULL;
            rk_auto(rk_cfree) char *got = NULL;

            assert_int_equal(rk_pg_run0(pg, &rows[i].find, &id, &err), 0);
            assert_int_equal(
                rk_actor_begin(pg, &actor, rows[i].kind, rk_pg_str(id, 0, 0).p, NULL, &ch, &err),
                0);
            pg_must(pg, rows[i].rename);
            assert_int_equal(rk_change_event(ch, "test", "sys", "x", RK_STR(""), &err), 0);
            assert_int_equal(rk_change_commit(&ch, NULL, &err), 0);
            got = changes("test");
            assert_non_null(got);
            assert_non_null(strstr(got, "\"after\": \"other\""));
        }
    }
}

static void an_event_tells_what_its_object_was_and_is(void **state)
{
    const struct rk_str members[] = { RK_STR(A) };
    struct rk_err err = { 0 };
    char id[RK_XID_LEN + 1];

    (void)state;
    assert_int_equal(
        rk_group_create(pg, &actor, &(struct rk_group_input){ .name = "g" }, id, &bell, &err), 0);
    told("group.add", "{\"name\": {\"after\": \"g\", \"before\": null}, "
                      "\"peers\": {\"after\": [], \"before\": null}, "
                      "\"issued\": {\"after\": \"api\", \"before\": null}, "
                      "\"resources\": {\"after\": [], \"before\": null}}");
    assert_int_equal(
        rk_group_update(pg, &actor, id,
                        &(struct rk_group_input){ .name = "h", .peers = members, .peers_n = 1 },
                        &bell, &err),
        0);
    told("group.update", "{\"name\": {\"after\": \"h\", \"before\": \"g\"}, "
                         "\"peers\": {\"after\": [\"" A "\"], \"before\": []}}");
    assert_null(changes("peer.group.add")); /* of the peer nothing else is known */

    /* Without an event of the group itself the first one speaks for it. */
    assert_int_equal(
        rk_group_update(pg, &actor, id, &(struct rk_group_input){ .name = "h" }, &bell, &err), 0);
    told("peer.group.delete", "{\"peers\": {\"after\": [], \"before\": [\"" A "\"]}}");
    assert_int_equal(rk_group_delete(pg, &actor, id, &bell, &err), 0);
    told("group.delete", "{\"name\": {\"after\": null, \"before\": \"h\"}, "
                         "\"peers\": {\"after\": null, \"before\": []}, "
                         "\"issued\": {\"after\": null, \"before\": \"api\"}, "
                         "\"resources\": {\"after\": null, \"before\": []}}");
}

static void an_event_that_names_a_peer_by_its_address_tells_too(void **state)
{
    const struct rk_peer_input in = { .name = "a", .ssh_enabled = true };
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(rk_peer_update(pg, &actor, A, &in, &bell, &err), 0);
    told("peer.ssh.enable", "{\"ssh_enabled\": {\"after\": true, \"before\": false}}");
}

static void no_secret_is_told(void **state)
{
    char id[RK_XID_LEN + 1], secret[RK_UUID_LEN + 1], plain[RK_PAT_LEN + 1];
    rk_auto(rk_cfree) char *key = NULL;
    rk_auto(rk_cfree) char *token = NULL;
    struct rk_err err = { 0 };
    const struct rk_setup_key_input in = { .name = "k", .type = "reusable" };

    (void)state;
    assert_int_equal(rk_setup_key_create(pg, &actor, &in, id, secret, &err), 0);
    key = changes("setupkey.add");
    assert_non_null(key);
    assert_null(strstr(key, secret));
    assert_null(strstr(key, "hash"));
    assert_int_equal(rk_pat_create(pg, &actor, acc.user_id, "t", 30, id, plain, &err), 0);
    token = changes("personal.access.token.create");
    assert_non_null(token);
    assert_null(strstr(token, plain));
    assert_null(strstr(token, "hash"));
}

static void past_its_room_an_event_is_written_at_once(void **state)
{
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_cfree) char *meta = rk_alloc(700 * 1024);
    struct rk_err err = { 0 };
    size_t n = 700 * 1024;

    (void)state;
    memset(meta, ' ', n);
    meta[0] = '{';
    meta[n - 1] = '}';
    assert_int_equal(rk_actor_begin(pg, &actor, RK_WATCH_PEER, A, NULL, &ch, &err), 0);
    pg_must(pg, "UPDATE peer SET name = 'b'");
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(
            rk_change_event(ch, i == 0 ? "first" : "test", "sys", A, rk_strn(meta, n), &err), 0);
    assert_int_equal(rk_change_commit(&ch, NULL, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code IN ('first', 'test')"), 3);
    told("first", "{\"name\": {\"after\": \"b\", \"before\": \"a\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_differs_is_told),
        cmocka_unit_test(of_a_long_list_what_came_and_went_is_told),
        cmocka_unit_test_setup(every_kind_can_be_looked_at, account_fresh_with_two_peers),
        cmocka_unit_test_setup(an_event_tells_what_its_object_was_and_is,
                               account_fresh_with_two_peers),
        cmocka_unit_test_setup(an_event_that_names_a_peer_by_its_address_tells_too,
                               account_fresh_with_two_peers),
        cmocka_unit_test_setup(no_secret_is_told, account_fresh_with_two_peers),
        cmocka_unit_test_setup(past_its_room_an_event_is_written_at_once,
                               account_fresh_with_two_peers),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
