#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/route/route.h"
#include "tests/support/test.h"

static const struct route *found(const char *method,
                                 const char *path,
                                 enum route_match want,
                                 struct rk_str vars[ROUTE_MAX_VARS])
{
    const struct route *r = NULL;

    assert_int_equal(route_find(rk_str(method), rk_str(path), &r, vars), want);
    return r;
}

static void a_path_is_matched_exactly(void **state)
{
    struct rk_str v[ROUTE_MAX_VARS];

    (void)state;
    assert_string_equal(found("GET", "/api/groups", ROUTE_FOUND, v)->path, "/api/groups");
    (void)found("GET", "/api/groups/", ROUTE_NONE, v);
    (void)found("GET", "/api/Groups", ROUTE_NONE, v);
    (void)found("GET", "api/groups", ROUTE_NONE, v);
    (void)found("GET", "/api", ROUTE_NONE, v);
    (void)found("GET", "", ROUTE_NONE, v);
    (void)found("GET", "/api/groups/a/b", ROUTE_NONE, v);
    (void)found("GET", "/api/integrations/event-streaming", ROUTE_NONE, v);
}

static void a_method_that_is_not_registered_is_told_apart(void **state)
{
    struct rk_str v[ROUTE_MAX_VARS];

    (void)state;
    (void)found("PATCH", "/api/groups", ROUTE_NO_METHOD, v);
    (void)found("HEAD", "/api/groups", ROUTE_NO_METHOD, v);
    (void)found("get", "/api/groups", ROUTE_NO_METHOD, v);
    (void)found("GET", "/api/users/x", ROUTE_NO_METHOD, v);
    (void)found("GET", "/api/users/x/y", ROUTE_NONE, v);
}

static void variables_are_the_segments_of_the_path(void **state)
{
    struct rk_str v[ROUTE_MAX_VARS];

    (void)state;
    (void)found("DELETE", "/api/users/u1/tokens/t%2F2", ROUTE_FOUND, v);
    assert_true(rk_str_eq(v[0], RK_STR("u1")));
    assert_true(rk_str_eq(v[1], RK_STR("t%2F2")));
    assert_string_equal(found("GET", "/api/users/current", ROUTE_FOUND, v)->group, "users");
}

static void every_route_that_changes_things_needs_a_permission_or_is_public(void **state)
{
    (void)state;
    for (size_t i = 0; i < routes_count; i++) {
        const struct route *r = &routes[i];

        assert_non_null(r->handler);
        assert_true(r->writes == (strcmp(r->method, "GET") != 0));
        /* Of the other kinds the handler knows its callers. */
        if (r->kind == ROUTE_REST && r->writes && r->handler != user_password) /* everybody's own */
            assert_true(r->is_public || (r->need[0].op != 0 && r->refusal == REFUSE_USUAL));
        if (r->max_body > 0)
            assert_true(strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0 ||
                        strcmp(r->method, "PATCH") == 0);
        if (strcmp(r->method, "PUT") == 0 || strcmp(r->method, "PATCH") == 0)
            assert_true(r->max_body > 0);
    }
}

static void only_what_is_meant_to_be_public_is(void **state)
{
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < routes_count; i++)
        n += routes[i].is_public;
    assert_int_equal(n, 5); /* instance, setup, openapi.json, two of invitations */
}

/* A row that is passed over by one byte is found by its own path all the same. */
static void every_row_is_found_by_its_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < routes_count; i++) {
        struct rk_str v[ROUTE_MAX_VARS];
        const struct route *r = found(routes[i].method, routes[i].path, ROUTE_FOUND, v);

        assert_ptr_equal(r, &routes[i]);
        assert_true(strcspn(r->path, "{") > strlen("/api/"));
    }
}

static void escapes_are_decoded_and_bad_ones_kept(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(4096);

    (void)state;
    assert_string_equal(route_unescape(a, RK_STR("a%20b%C3%a9"), false), "a b\xc3\xa9");
    assert_string_equal(route_unescape(a, RK_STR("a+b"), true), "a b");
    assert_string_equal(route_unescape(a, RK_STR("a+b"), false), "a+b");
    assert_string_equal(route_unescape(a, RK_STR("%"), false), "%");
    assert_string_equal(route_unescape(a, RK_STR("%4"), false), "%4");
    assert_string_equal(route_unescape(a, RK_STR("%zz%41"), false), "%zzA");
    assert_string_equal(route_unescape(a, RK_STR("%00x"), false), "%00x");
    assert_string_equal(route_unescape(a, (struct rk_str){ NULL, 0 }, false), "");
}

static void what_is_no_utf8_names_nothing(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(4096);

    (void)state;
    assert_string_equal(route_text(a, RK_STR("b%C3%a9"), false), "b\xc3\xa9");
    assert_string_equal(route_text(a, RK_STR("b%C3%a9%FFc"), false), "b???c");
    assert_string_equal(route_text(a, RK_STR("\xff%C3+"), true), "?? ");
    assert_string_equal(route_text(a, (struct rk_str){ NULL, 0 }, false), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_matched_exactly),
        cmocka_unit_test(a_method_that_is_not_registered_is_told_apart),
        cmocka_unit_test(variables_are_the_segments_of_the_path),
        cmocka_unit_test(every_route_that_changes_things_needs_a_permission_or_is_public),
        cmocka_unit_test(only_what_is_meant_to_be_public_is),
        cmocka_unit_test(every_row_is_found_by_its_path),
        cmocka_unit_test(escapes_are_decoded_and_bad_ones_kept),
        cmocka_unit_test(what_is_no_utf8_names_nothing),
    };

    return RUN_TESTS(tests);
}
