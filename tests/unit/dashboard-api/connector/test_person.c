#include "services/dashboard-api/connector/person.h"

#include "libcommon/account/rules/subject.h"
#include "tests/support/test.h"

/* What a provider of this kind says, as an identity; NULL with *out_err filled. */
struct said {
    struct rk_arena *arena;
    struct identity who;
    struct rk_err err;
    int r;
};

static json_t *object(const char *text)
{
    json_t *v = NULL;
    struct rk_err err = { 0 };

    if (!text)
        return NULL;
    if (person_parse(rk_str(text), &v, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    return v;
}

static void said_done(struct said *s)
{
    rk_arena_free(s->arena);
}
RK_DEFINE_AUTO_DONE(struct said, said_done)

static struct said says(enum rk_connector_kind kind, const char *token, const char *more)
{
    const struct rk_connector c = { .id = "c0", .kind = kind };
    struct said s = { .arena = rk_arena_new(8 << 20) };
    json_t *a = object(token), *b = object(more);

    s.r = person_identity(&c, a, b, s.arena, &s.who, &s.err);
    json_decref(a);
    json_decref(b);
    return s;
}

static void is(const struct said *s, const char *id, const char *email, const char *name)
{
    char user[RK_SUBJECT_PART_MAX], connector[RK_SUBJECT_PART_MAX];

    if (s->r < 0)
        fail_msg("%s", s->err.msg);
    assert_true(rk_subject_decode(s->who.user_id, user, connector));
    assert_string_equal(user, id);
    assert_string_equal(connector, "c0");
    assert_string_equal(s->who.connector_id, "c0");
    assert_string_equal(s->who.email, email);
    assert_string_equal(s->who.name, name);
}

static void a_person_has_a_lasting_id_an_address_and_a_name(void **state)
{
    rk_auto(said_done) struct said s =
        says(RK_CONNECTOR_OIDC,
             "{\"sub\":\"s1\",\"email\":\"a@d.test\",\"name\":\"Ada\",\"email_verified\":false,"
             "\"preferred_username\":\"ada\",\"oid\":\"not this\"}",
             NULL);

    (void)state;
    is(&s, "s1", "a@d.test", "Ada");
    assert_string_equal(s.who.preferred_username, "ada");
    assert_false(s.who.email_verified);
    assert_int_equal(s.who.groups_n, 0);
}

static void other_claims_stand_in(void **state)
{
    rk_auto(said_done) struct said by_username =
        says(RK_CONNECTOR_OIDC, "{\"sub\":\"s1\",\"preferred_username\":\"ada@d.test\"}", NULL);
    rk_auto(said_done) struct said by_upn =
        says(RK_CONNECTOR_ADFS,
             "{\"sub\":\"s1\",\"preferred_username\":\"D\\\\ada\",\"upn\":\"ada@d.test\"}", NULL);
    rk_auto(said_done) struct said nameless =
        says(RK_CONNECTOR_OIDC, "{\"sub\":\"s1\",\"email\":\"a@d.test\",\"name\":\"\"}", NULL);

    (void)state;
    is(&by_username, "s1", "ada@d.test", "ada@d.test");
    is(&by_upn, "s1", "ada@d.test", "D\\ada");
    is(&nameless, "s1", "a@d.test", "a@d.test");
}

static void userinfo_adds_to_the_token_and_does_not_overrule_it(void **state)
{
    rk_auto(said_done) struct said s =
        says(RK_CONNECTOR_ZITADEL, "{\"sub\":\"s1\",\"name\":\"Ada\"}",
             "{\"sub\":\"s1\",\"name\":\"Other\",\"email\":\"a@d.test\",\"groups\":[\"g\"]}");

    (void)state;
    is(&s, "s1", "a@d.test", "Ada");
    assert_int_equal(s.who.groups_n, 1);
}

static void entra_names_people_by_oid(void **state)
{
    rk_auto(said_done) struct said s = says(
        RK_CONNECTOR_ENTRA,
        "{\"sub\":\"pairwise\",\"oid\":\"o1\",\"preferred_username\":\"a@d.test\",\"name\":\"A\"}",
        NULL);
    rk_auto(said_done) struct said none =
        says(RK_CONNECTOR_ENTRA, "{\"sub\":\"pairwise\",\"email\":\"a@d.test\"}", NULL);

    (void)state;
    is(&s, "o1", "a@d.test", "A");
    assert_int_equal(none.r, RK_DENIED);
    assert_string_equal(none.err.msg, "the claim oid is missing");
}

static void microsoft_is_asked_through_graph(void **state)
{
    rk_auto(said_done) struct said s =
        says(RK_CONNECTOR_MICROSOFT, NULL,
             "{\"id\":\"m1\",\"displayName\":\"Ada\",\"userPrincipalName\":\"a@d.test\","
             "\"mail\":\"other@d.test\"}");

    (void)state;
    is(&s, "m1", "a@d.test", "Ada");
    assert_true(s.who.email_verified);
}

static void a_login_name_is_nobodys_verified_address(void **state)
{
    static const struct {
        enum rk_connector_kind kind;
        const char *claims;
        bool verified;
    } cases[] = {
        { RK_CONNECTOR_KEYCLOAK, "\"preferred_username\":\"boss@d.test\"", false },
        { RK_CONNECTOR_OIDC, "\"preferred_username\":\"boss@d.test\",\"email_verified\":true",
          false },
        { RK_CONNECTOR_OIDC, "\"email\":\"\",\"preferred_username\":\"boss@d.test\"", false },
        { RK_CONNECTOR_OIDC, "\"upn\":\"a@d.test\"", true },
        { RK_CONNECTOR_OKTA, "\"preferred_username\":\"a@d.test\"", true },
        { RK_CONNECTOR_ADFS, "\"preferred_username\":\"a@d.test\"", true },
        { RK_CONNECTOR_OKTA, "\"preferred_username\":\"a@d.test\",\"email_verified\":false",
          false },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        char text[200];

        snprintf(text, sizeof(text), "{\"sub\":\"s\",%s}", cases[i].claims);
        rk_auto(said_done) struct said s = says(cases[i].kind, text, NULL);
        assert_int_equal(s.r, 0);
        assert_int_equal(s.who.email_verified, cases[i].verified);
    }
}

static void an_address_is_verified_unless_the_provider_says_it_is_not(void **state)
{
    static const struct {
        const char *claim;
        bool verified;
    } cases[] = { { "", true },
                  { ",\"email_verified\":true", true },
                  { ",\"email_verified\":\"true\"", true },
                  { ",\"email_verified\":null", true },
                  { ",\"email_verified\":false", false },
                  { ",\"email_verified\":\"false\"", false },
                  { ",\"email_verified\":\"yes\"", false },
                  { ",\"email_verified\":1", false },
                  { ",\"email_verified\":{}", false } };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        char text[200];

        snprintf(text, sizeof(text), "{\"sub\":\"s\",\"email\":\"a@d.test\"%s}", cases[i].claim);
        rk_auto(said_done) struct said s = says(RK_CONNECTOR_OIDC, text, NULL);
        assert_int_equal(s.r, 0);
        assert_int_equal(s.who.email_verified, cases[i].verified);
    }
}

static void groups_are_copied_as_far_as_they_are_texts(void **state)
{
    rk_auto(said_done) struct said list = says(
        RK_CONNECTOR_OIDC,
        "{\"sub\":\"s\",\"email\":\"a@d.test\",\"groups\":[\"x\",1,\"\",null,\"y z\",\"a\\tb\"]}",
        NULL);
    rk_auto(said_done) struct said one =
        says(RK_CONNECTOR_OIDC, "{\"sub\":\"s\",\"email\":\"a@d.test\",\"groups\":\"only\"}", NULL);
    rk_auto(said_done) struct said wrong = says(
        RK_CONNECTOR_OIDC, "{\"sub\":\"s\",\"email\":\"a@d.test\",\"groups\":{\"a\":1}}", NULL);

    (void)state;
    assert_int_equal(list.who.groups_n, 2);
    assert_true(rk_str_eq(list.who.groups[0], RK_STR("x")));
    assert_true(rk_str_eq(list.who.groups[1], RK_STR("y z")));
    assert_int_equal(one.who.groups_n, 1);
    assert_true(rk_str_eq(one.who.groups[0], RK_STR("only")));
    assert_int_equal(wrong.who.groups_n, 0);
}

static void there_are_only_so_many_groups(void **state)
{
    json_t *groups = json_array(), *token;
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(8 << 20);
    const struct rk_connector c = { .id = "c0", .kind = RK_CONNECTOR_OIDC };
    struct identity who;
    struct rk_err err = { 0 };

    (void)state;
    for (int i = 0; i < IDENTITY_MAX_GROUPS + 5; i++)
        json_array_append_new(groups, json_sprintf("g%d", i));
    token = json_pack("{s:s,s:s,s:o}", "sub", "s", "email", "a@d.test", "groups", groups);
    assert_int_equal(person_identity(&c, token, NULL, arena, &who, &err), 0);
    assert_int_equal(who.groups_n, IDENTITY_MAX_GROUPS);
    json_decref(token);
}

static void who_cannot_be_told_apart_or_written_to_does_not_get_in(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"sub\":1,\"email\":\"a@d.test\"}",
        "{\"sub\":\"\",\"email\":\"a@d.test\"}",
        "{\"sub\":\"a\\nb\",\"email\":\"a@d.test\"}",
        "{\"sub\":\"s\"}",
        "{\"sub\":\"s\",\"email\":\"nobody\"}",
        "{\"sub\":\"s\",\"email\":\"a\\r\\nb@d.test\"}",
        "{\"sub\":\"s\",\"email\":[\"a@d.test\"]}",
    };
    char long_id[600], text[700];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        rk_auto(said_done) struct said s = says(RK_CONNECTOR_OIDC, bad[i], NULL);
        assert_int_equal(s.r, RK_DENIED);
    }
    memset(long_id, 'x', sizeof(long_id));
    long_id[500] = '\0';
    snprintf(text, sizeof(text), "{\"sub\":\"%s\",\"email\":\"a@d.test\"}", long_id);
    rk_auto(said_done) struct said s = says(RK_CONNECTOR_OIDC, text, NULL);
    assert_int_equal(s.r, RK_DENIED);
}

static void a_name_is_cut_between_characters_and_cannot_do_anything(void **state)
{
    char name[600] = "", text[800];

    (void)state;
    for (int i = 0; i < 200; i++)
        strncat(name, "\xc3\xa9", sizeof(name) - strlen(name) - 1);
    snprintf(text, sizeof(text), "{\"sub\":\"s\",\"email\":\"a@d.test\",\"name\":\"x%s\"}", name);
    rk_auto(said_done) struct said cut = says(RK_CONNECTOR_OIDC, text, NULL);
    assert_int_equal(cut.r, 0);
    assert_int_equal(strlen(cut.who.name), 255);
    rk_auto(said_done) struct said bell =
        says(RK_CONNECTOR_OIDC, "{\"sub\":\"s\",\"email\":\"a@d.test\",\"name\":\"a\\u0007\\nb\"}",
             NULL);
    assert_string_equal(bell.who.name, "ab");
}

static void userinfo_is_worth_asking_when_the_token_says_too_little(void **state)
{
    static const struct {
        const char *token;
        bool complete;
    } cases[] = { { "{\"sub\":\"s\"}", false },
                  { "{\"sub\":\"s\",\"email\":\"a@d.test\"}", false },
                  { "{\"sub\":\"s\",\"name\":\"A\"}", false },
                  { "{\"sub\":\"s\",\"email\":\"a@d.test\",\"name\":\"A\"}", true } };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        json_t *v = object(cases[i].token);

        assert_int_equal(person_complete(RK_CONNECTOR_OIDC, v), cases[i].complete);
        json_decref(v);
    }
}

static void members_stand_once(void **state)
{
    static const char *const bad[] = {
        "", "[]", "\"x\"", "{\"sub\":1,\"sub\":2}", "{\"a\":1} x", "{\"a\":\"\\u0000\"}"
    };
    struct rk_err err = { 0 };
    json_t *v;

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++)
        assert_int_equal(person_parse(rk_str(bad[i]), &v, &err), RK_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_person_has_a_lasting_id_an_address_and_a_name),
        cmocka_unit_test(other_claims_stand_in),
        cmocka_unit_test(userinfo_adds_to_the_token_and_does_not_overrule_it),
        cmocka_unit_test(entra_names_people_by_oid),
        cmocka_unit_test(microsoft_is_asked_through_graph),
        cmocka_unit_test(a_login_name_is_nobodys_verified_address),
        cmocka_unit_test(an_address_is_verified_unless_the_provider_says_it_is_not),
        cmocka_unit_test(groups_are_copied_as_far_as_they_are_texts),
        cmocka_unit_test(there_are_only_so_many_groups),
        cmocka_unit_test(who_cannot_be_told_apart_or_written_to_does_not_get_in),
        cmocka_unit_test(a_name_is_cut_between_characters_and_cannot_do_anything),
        cmocka_unit_test(userinfo_is_worth_asking_when_the_token_says_too_little),
        cmocka_unit_test(members_stand_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
