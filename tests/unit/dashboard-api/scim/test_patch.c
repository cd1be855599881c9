/* What PATCH does to users and groups. */

#include "tests/support/test.h"

#include "services/dashboard-api/scim/group.h"
#include "services/dashboard-api/scim/json.h"
#include "services/dashboard-api/scim/user.h"

#define BEFORE                                                                                     \
    "{\"userName\":\"ann\",\"externalId\":\"x1\",\"active\":true,\"displayName\":\"Ann\","         \
    "\"name\":{\"givenName\":\"Ann\",\"familyName\":\"Bee\"},"                                     \
    "\"emails\":[{\"value\":\"ann@work.test\",\"type\":\"work\",\"primary\":true},"                \
    "{\"value\":\"ann@home.test\",\"type\":\"home\"}]}"

static json_t *parse(const char *text)
{
    struct rk_err err = { 0 };
    json_t *v = NULL;

    if (scim_json_parse(rk_str(text), &v, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    return v;
}

static int patch_user(json_t *user, const char *operations, struct rk_err *err)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(json_decref) json_t *body = NULL;
    char text[4096];
    struct scim_op *ops;
    size_t n;
    int r;

    snprintf(text, sizeof(text),
             "{\"schemas\":[\"urn:ietf:params:scim:api:messages:2.0:PatchOp\"],"
             "\"Operations\":[%s]}",
             operations);
    body = parse(text);
    r = scim_patch_read(body, a, &ops, &n, err);
    return r < 0 ? r : scim_user_patch(user, ops, n, err);
}

/* `want` are the members that the user has afterwards; null for one it must not have. */
static void gives(const char *operations, const char *want)
{
    rk_auto(json_decref) json_t *user = parse(BEFORE);
    rk_auto(json_decref) json_t *wanted = parse(want);
    struct rk_err err = { 0 };

    if (patch_user(user, operations, &err) < 0)
        fail_msg("%s: %s", operations, err.msg);
    for (void *it = json_object_iter(wanted); it; it = json_object_iter_next(wanted, it)) {
        const char *name = json_object_iter_key(it);
        const json_t *v = json_object_iter_value(it), *have = json_object_get(user, name);

        if (json_is_null(v) ? have != NULL : !json_equal(v, have)) {
            char *got = json_dumps(user, 0);

            fail_msg("%s gives %s", operations, got);
        }
    }
}

static void refuses(const char *operations, const char *word)
{
    rk_auto(json_decref) json_t *user = parse(BEFORE);
    struct rk_err err = { 0 };

    if (patch_user(user, operations, &err) == 0)
        fail_msg("%s is taken", operations);
    if (strncmp(err.msg, word, strlen(word)) != 0)
        fail_msg("%s: %s", operations, err.msg);
}

static void what_okta_and_entra_send_is_understood(void **state)
{
    (void)state;
    gives("{\"op\":\"replace\",\"value\":{\"active\":false}}", "{\"active\":false}");
    gives("{\"op\":\"Replace\",\"path\":\"active\",\"value\":\"False\"}", "{\"active\":false}");
    gives("{\"op\":\"Replace\",\"path\":\"active\",\"value\":\"TRUE\"}", "{\"active\":true}");
    gives(
        "{\"op\":\"Replace\",\"path\":\"displayName\",\"value\":[{\"$ref\":null,\"value\":\"A\"}]}",
        "{\"displayName\":\"A\"}");
    gives("{\"op\":\"Replace\",\"value\":{\"name.givenName\":\"A\",\"displayName\":\"B\","
          "\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department\":\"C\","
          "\"urn:ietf:params:scim:schemas:core:2.0:User:userName\":\"d\"}}",
          "{\"name\":{\"givenName\":\"A\",\"familyName\":\"Bee\"},\"displayName\":\"B\","
          "\"userName\":\"d\",\"department\":null}");
    gives("{\"op\":\"Add\",\"path\":\"emails[type eq \\\"work\\\"].value\",\"value\":\"n@x\"}",
          "{\"emails\":[{\"value\":\"n@x\",\"type\":\"work\",\"primary\":true},"
          "{\"value\":\"ann@home.test\",\"type\":\"home\"}]}");
    gives(
        "{\"op\":\"Replace\",\"path\":\"emails[type eq \\\"other\\\"].value\",\"value\":\"n@x\"}",
        "{\"emails\":[{\"value\":\"ann@work.test\",\"type\":\"work\",\"primary\":true},"
        "{\"value\":\"ann@home.test\",\"type\":\"home\"},{\"value\":\"n@x\",\"type\":\"other\"}]}");
    gives(
        "{\"op\":\"replace\",\"value\":{\"id\":\"1\",\"schemas\":[\"s\"],\"meta\":{},\"groups\":[],"
        "\"userName\":\"b\"}}",
        "{\"userName\":\"b\",\"id\":null,\"groups\":null}");
}

static void names_and_operators_have_no_case(void **state)
{
    (void)state;
    gives("{\"OP\":\"REPLACE\",\"Path\":\"USERNAME\",\"Value\":\"b\"}", "{\"userName\":\"b\"}");
    gives("{\"op\":\"add\",\"value\":{\"NAME\":{\"GivenName\":\"A\"}}}",
          "{\"name\":{\"givenName\":\"A\",\"familyName\":\"Bee\"}}");
}

static void operations_are_done_in_order(void **state)
{
    (void)state;
    gives("{\"op\":\"replace\",\"path\":\"displayName\",\"value\":\"1\"},"
          "{\"op\":\"remove\",\"path\":\"displayName\"},"
          "{\"op\":\"add\",\"path\":\"displayName\",\"value\":\"2\"}",
          "{\"displayName\":\"2\"}");
    refuses("{\"op\":\"replace\",\"path\":\"displayName\",\"value\":\"1\"},"
            "{\"op\":\"replace\",\"path\":\"userName\",\"value\":\"\"}",
            "invalidValue");
}

static void adding_unites_replacing_sets_removing_subtracts(void **state)
{
    (void)state;
    gives("{\"op\":\"add\",\"path\":\"emails\",\"value\":[{\"value\":\"ANN@home.test\","
          "\"primary\":true},{\"value\":\"n@x\"}]}",
          "{\"emails\":[{\"value\":\"ann@work.test\",\"type\":\"work\",\"primary\":false},"
          "{\"value\":\"ANN@home.test\",\"type\":\"home\",\"primary\":true},{\"value\":\"n@x\"}]}");
    gives("{\"op\":\"replace\",\"path\":\"emails\",\"value\":[{\"value\":\"n@x\"}]}",
          "{\"emails\":[{\"value\":\"n@x\"}]}");
    gives("{\"op\":\"replace\",\"path\":\"emails\",\"value\":{\"value\":\"n@x\"}}",
          "{\"emails\":[{\"value\":\"n@x\"}]}");
    gives("{\"op\":\"remove\",\"path\":\"emails\"}", "{\"emails\":null}");
    gives("{\"op\":\"replace\",\"path\":\"emails\",\"value\":null}", "{\"emails\":null}");
    gives("{\"op\":\"remove\",\"path\":\"emails\",\"value\":[{\"value\":\"ann@home.test\"}]}",
          "{\"emails\":[{\"value\":\"ann@work.test\",\"type\":\"work\",\"primary\":true}]}");
    gives("{\"op\":\"remove\",\"path\":\"emails[type eq \\\"work\\\" and primary eq true]\"}",
          "{\"emails\":[{\"value\":\"ann@home.test\",\"type\":\"home\"}]}");
    gives("{\"op\":\"remove\",\"path\":\"emails[type eq \\\"none\\\"]\"}",
          "{\"userName\":\"ann\"}");
    gives("{\"op\":\"remove\",\"path\":\"emails[type eq \\\"home\\\"].type\"}",
          "{\"emails\":[{\"value\":\"ann@work.test\",\"type\":\"work\",\"primary\":true},"
          "{\"value\":\"ann@home.test\"}]}");
    gives("{\"op\":\"replace\",\"path\":\"emails[type eq "
          "\\\"home\\\"]\",\"value\":{\"value\":\"h@x\"}}",
          "{\"emails\":[{\"value\":\"ann@work.test\",\"type\":\"work\",\"primary\":true},"
          "{\"value\":\"h@x\",\"type\":\"home\"}]}");
    gives("{\"op\":\"replace\",\"path\":\"emails[type eq \\\"home\\\"].value\",\"value\":\"\"}",
          "{\"emails\":[{\"value\":\"ann@work.test\",\"type\":\"work\",\"primary\":true}]}");
}

static void parts_of_a_complex_attribute_change_alone(void **state)
{
    (void)state;
    gives("{\"op\":\"replace\",\"path\":\"name\",\"value\":{\"formatted\":\"A B\"}}",
          "{\"name\":{\"givenName\":\"Ann\",\"familyName\":\"Bee\",\"formatted\":\"A B\"}}");
    gives("{\"op\":\"remove\",\"path\":\"name.givenName\"}", "{\"name\":{\"familyName\":\"Bee\"}}");
    gives("{\"op\":\"replace\",\"path\":\"name.familyName\",\"value\":null}",
          "{\"name\":{\"givenName\":\"Ann\"}}");
    gives("{\"op\":\"remove\",\"path\":\"name\"}", "{\"name\":null}");
    gives("{\"op\":\"replace\",\"path\":\"externalId\",\"value\":\"\"}", "{\"externalId\":null}");
}

static void what_is_unknown_has_no_effect(void **state)
{
    (void)state;
    gives("{\"op\":\"add\",\"path\":\"favouriteColour\",\"value\":\"red\"}",
          "{\"favouriteColour\":null}");
    gives("{\"op\":\"replace\",\"value\":{\"password\":\"secret\",\"locale\":\"en\"}}",
          "{\"password\":null,\"locale\":null}");
    gives("{\"op\":\"add\",\"path\":\"name.nickname\",\"value\":\"x\"}", "{\"userName\":\"ann\"}");
    gives("{\"op\":\"remove\",\"path\":\"roles[primary eq \\\"True\\\"].value\"}",
          "{\"userName\":\"ann\"}");
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    refuses("{\"op\":\"replace\",\"path\":\"userName\",\"value\":null}", "invalidValue");
    refuses("{\"op\":\"replace\",\"path\":\"userName\",\"value\":7}", "invalidValue");
    refuses("{\"op\":\"replace\",\"path\":\"active\",\"value\":\"perhaps\"}", "invalidValue");
    refuses("{\"op\":\"replace\",\"path\":\"active\",\"value\":null}", "invalidValue");
    refuses("{\"op\":\"remove\",\"path\":\"active\"}", "mutability");
    refuses("{\"op\":\"remove\",\"path\":\"userName\"}", "mutability");
    refuses("{\"op\":\"replace\",\"path\":\"id\",\"value\":\"x\"}", "mutability");
    refuses("{\"op\":\"add\",\"path\":\"groups\",\"value\":[]}", "mutability");
    refuses("{\"op\":\"remove\"}", "noTarget");
    refuses("{\"op\":\"add\",\"path\":\"displayName\"}", "invalidValue");
    refuses("{\"op\":\"add\",\"value\":\"x\"}", "invalidSyntax");
    refuses("{\"op\":\"move\",\"path\":\"a\",\"value\":1}", "invalidSyntax");
    refuses("{\"op\":\"add\",\"path\":7,\"value\":1}", "invalidPath");
    refuses("{\"op\":\"add\",\"path\":\"a b\",\"value\":1}", "invalidPath");
    refuses("{\"op\":\"add\",\"value\":{\"a b\":1}}", "invalidPath");
    refuses("{\"op\":\"add\",\"path\":\"userName.x\",\"value\":\"1\"}", "invalidPath");
    refuses("{\"op\":\"add\",\"path\":\"name[x eq 1]\",\"value\":\"1\"}", "invalidPath");
    refuses("{\"op\":\"add\",\"path\":\"emails[x ne 1]\",\"value\":{}}", "invalidFilter");
    refuses("{\"op\":\"add\",\"path\":\"name\",\"value\":\"x\"}", "invalidValue");
    refuses("{\"op\":\"add\",\"path\":\"emails\",\"value\":[7]}", "invalidValue");
    refuses("{\"op\":\"add\",\"path\":\"emails[type eq \\\"work\\\"]\",\"value\":\"x\"}",
            "invalidValue");
    refuses("", "invalidSyntax");
    refuses("7", "invalidSyntax");
}

static void a_whole_user_is_read_and_seen(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(json_decref) json_t *body = parse(
        "{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:User\"],\"USERNAME\":\"a@b.c\","
        "\"name\":{\"givenName\":\"A\",\"familyName\":\"B\"},\"password\":\"p\",\"groups\":[],"
        "\"emails\":[{\"value\":\"h@b.c\",\"primary\":true},{\"value\":\"W@b.c\",\"type\":\"work\"}"
        "],"
        "\"locale\":null,\"active\":\"false\",\"displayName\":null}");
    rk_auto(json_decref) json_t *user = NULL;
    struct scim_user view;
    struct rk_err err = { 0 };

    (void)state;
    assert_int_equal(scim_user_read(body, &user, &err), 0);
    assert_int_equal(json_object_size(user), 4);
    assert_int_equal(scim_user_view(user, a, &view, &err), 0);
    assert_string_equal(view.user_name, "a@b.c");
    assert_string_equal(view.name, "A B");
    assert_string_equal(view.email, "W@b.c");
    assert_string_equal(view.external_id, "");
    assert_false(view.active);
    assert_int_equal(view.email_keys_n, 3);
    assert_true(rk_str_eq(view.email_keys[2], RK_STR("work:w@b.c")));

    assert_int_equal(json_object_del(user, "userName"), 0);
    assert_int_equal(scim_user_view(user, a, &view, &err), RK_BAD_REQUEST);
}

static void a_body_that_costs_too_much_or_is_ambiguous_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "7",
        "{",
        "{} {}",
        "{\"a\":1,\"a\":2}",
        "{\"active\":true,\"Active\":false}",
        "{\"a\":[{\"b\":1,\"B\":2}]}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}",
    };
    struct rk_err err = { 0 };
    rk_auto(rk_buf_done) struct rk_buf many;
    json_t *v;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        if (scim_json_parse(rk_str(bad[i]), &v, &err) == 0)
            fail_msg("%s is taken", bad[i]);
    rk_buf_init(&many, 4 << 20);
    rk_buf_put_c(&many, "{\"a\":[[]");
    for (size_t i = 0; i < SCIM_MAX_CONTAINERS; i++)
        rk_buf_put_c(&many, ",[]");
    rk_buf_put_c(&many, "]}");
    assert_int_equal(scim_json_parse(rk_buf_str(&many), &v, &err), RK_BAD_REQUEST);
}

/* === Groups === */

static int steps_of(const char *operations,
                    struct rk_arena *a,
                    struct scim_step **out,
                    size_t *out_n,
                    json_t **out_body,
                    struct rk_err *err)
{
    char text[4096];
    struct scim_op *ops;
    size_t n;
    int r;

    snprintf(text, sizeof(text), "{\"Operations\":[%s]}", operations);
    *out_body = parse(text);
    r = scim_patch_read(*out_body, a, &ops, &n, err);
    return r < 0 ? r : scim_group_patch(ops, n, a, out, out_n, err);
}

/* Steps as text: "name:x ext:y +a,b -c =d". */
static void steps(const char *operations, const char *want)
{
    static const char *const marks[] = { "name:", "ext:", "+", "-", "=" };
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(json_decref) json_t *body = NULL;
    struct rk_err err = { 0 };
    struct scim_step *got;
    char text[1024] = "";
    size_t n, at = 0;

    if (steps_of(operations, a, &got, &n, &body, &err) < 0)
        fail_msg("%s: %s", operations, err.msg);
    for (size_t i = 0; i < n; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s%s", i ? " " : "",
                               marks[got[i].kind], got[i].text ? got[i].text : "");
        for (size_t k = 0; k < got[i].ids_n; k++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s", k ? "," : "",
                                   RK_STR_FMT(got[i].ids[k]));
    }
    assert_string_equal(text, want);
}

static void a_groups_operations_are_steps(void **state)
{
    (void)state;
    steps("{\"op\":\"replace\",\"value\":{\"id\":\"i\",\"displayName\":\"n\"}}", "name:n");
    steps("{\"op\":\"remove\",\"path\":\"members[value eq \\\"a\\\"]\"},"
          "{\"op\":\"add\",\"path\":\"members\",\"value\":[{\"value\":\"b\",\"display\":\"B\"}]}",
          "-a +b");
    steps(
        "{\"op\":\"replace\",\"path\":\"members\",\"value\":[{\"value\":\"a\"},{\"value\":\"b\"}]}",
        "=a,b");
    steps("{\"op\":\"replace\",\"path\":\"members\",\"value\":[]}", "=");
    steps("{\"op\":\"Remove\",\"path\":\"members\",\"value\":[{\"value\":\"a\"}]}", "-a");
    steps("{\"op\":\"Remove\",\"path\":\"members\"}", "=");
    steps("{\"op\":\"Remove\",\"path\":\"members\",\"value\":[]}", "-");
    steps("{\"op\":\"Add\",\"value\":{\"members\":[{\"value\":\"a\"}],\"externalId\":\"e\"}}",
          "+a ext:e");
    steps("{\"op\":\"add\",\"path\":\"members\",\"value\":{\"value\":\"a\"}}", "+a");
    steps("{\"op\":\"add\",\"path\":\"members\",\"value\":[{\"value\":\"a\",\"type\":\"Group\"},"
          "{\"value\":\"b\",\"type\":\"User\"}]}",
          "+b");
    steps("{\"op\":\"remove\",\"path\":\"externalId\"}", "ext:");
    steps("{\"op\":\"remove\",\"path\":\"members[value eq \\\"a\\\" and type eq \\\"User\\\"]\"}",
          "-a");
    steps("{\"op\":\"remove\",\"path\":\"members[value eq \\\"a\\\" and type eq \\\"Group\\\"]\"}",
          "-");
    steps("{\"op\":\"replace\",\"path\":\"description\",\"value\":\"d\"}", "");
    steps(
        "{\"op\":\"replace\",\"path\":\"urn:ietf:params:scim:schemas:core:2.0:Group:displayName\","
        "\"value\":\"n\"}",
        "name:n");
}

static void a_group_refuses_what_cannot_be(void **state)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        { "{\"op\":\"replace\",\"path\":\"displayName\",\"value\":\"\"}", "invalidValue" },
        { "{\"op\":\"replace\",\"path\":\"displayName\",\"value\":7}", "invalidValue" },
        { "{\"op\":\"remove\",\"path\":\"displayName\"}", "mutability" },
        { "{\"op\":\"replace\",\"path\":\"id\",\"value\":\"x\"}", "mutability" },
        { "{\"op\":\"add\",\"path\":\"members\",\"value\":[{\"display\":\"x\"}]}", "invalidValue" },
        { "{\"op\":\"add\",\"path\":\"members\",\"value\":[7]}", "invalidValue" },
        { "{\"op\":\"replace\",\"path\":\"members[value eq \\\"a\\\"].display\",\"value\":\"x\"}",
          "mutability" },
        { "{\"op\":\"remove\",\"path\":\"members[display eq \\\"a\\\"]\"}", "invalidFilter" },
        { "{\"op\":\"remove\",\"path\":\"members[type eq \\\"User\\\"]\"}", "invalidFilter" },
        { "{\"op\":\"remove\",\"path\":\"members.value\"}", "mutability" },
        { "{\"op\":\"replace\",\"path\":\"displayName.x\",\"value\":\"x\"}", "invalidPath" },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
        rk_auto(json_decref) json_t *body = NULL;
        struct rk_err err = { 0 };
        struct scim_step *got;
        size_t n;

        if (steps_of(cases[i].text, a, &got, &n, &body, &err) == 0)
            fail_msg("%s is taken", cases[i].text);
        if (strncmp(err.msg, cases[i].word, strlen(cases[i].word)) != 0)
            fail_msg("%s: %s", cases[i].text, err.msg);
    }
}

static void a_whole_group_without_members_says_nothing_of_them(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    rk_auto(json_decref) json_t *without = parse("{\"displayName\":\"n\"}");
    rk_auto(json_decref) json_t *empty = parse("{\"displayName\":\"n\",\"members\":[]}");
    rk_auto(json_decref) json_t *nameless = parse("{\"members\":[]}");
    struct rk_err err = { 0 };
    struct scim_step *got;
    size_t n;

    (void)state;
    assert_int_equal(scim_group_read(without, a, &got, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(scim_group_read(empty, a, &got, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_int_equal(got[1].kind, SCIM_STEP_REPLACE);
    assert_int_equal(scim_group_read(nameless, a, &got, &n, &err), RK_BAD_REQUEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_okta_and_entra_send_is_understood),
        cmocka_unit_test(names_and_operators_have_no_case),
        cmocka_unit_test(operations_are_done_in_order),
        cmocka_unit_test(adding_unites_replacing_sets_removing_subtracts),
        cmocka_unit_test(parts_of_a_complex_attribute_change_alone),
        cmocka_unit_test(what_is_unknown_has_no_effect),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(a_whole_user_is_read_and_seen),
        cmocka_unit_test(a_body_that_costs_too_much_or_is_ambiguous_is_refused),
        cmocka_unit_test(a_groups_operations_are_steps),
        cmocka_unit_test(a_group_refuses_what_cannot_be),
        cmocka_unit_test(a_whole_group_without_members_says_nothing_of_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
