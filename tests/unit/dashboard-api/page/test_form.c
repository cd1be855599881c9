#include "services/dashboard-api/page/form.h"

#include "services/dashboard-api/page/cookie.h"
#include "tests/support/test.h"

/* A call without a server: what a browser has sent. */
struct world {
    struct api_config config;
    struct rk_seal seal;
    struct call call;
};

static void world_init(struct world *w)
{
    *w = (struct world){ .config.oidc.public_url = (char *)(uintptr_t) "https://d.test",
                         .seal = { .n = 1, .key = { { 1, 2, 3 } } } };
    w->call = (struct call){
        .config = &w->config,
        .seal = &w->seal,
        .arena = rk_arena_new(1 << 20),
        .head = { .authorization = "",
                  .cookie = "",
                  .content_type = "application/x-www-form-urlencoded",
                  .accept_language = "",
                  .origin = "",
                  .fetch_site = "",
                  .user_agent = "" },
    };
    rk_buf_init(&w->call.out, CALL_MAX_OUT);
}

static void world_done(struct world *w)
{
    rk_buf_done(&w->call.out);
    rk_arena_free(w->call.arena);
}

static const char *between(const char *text, const char *before, const char *after, char out[256])
{
    const char *from = strstr(text, before), *to;

    assert_non_null(from);
    from += strlen(before);
    to = strstr(from, after);
    assert_non_null(to);
    assert_true(rk_str_copy(rk_strn(from, (size_t)(to - from)), out, 256));
    return out;
}

/* The page with a form for `purpose`, and then what the browser sends back. */
static void get_and_post(struct world *w, const char *purpose)
{
    struct call *c = &w->call;
    struct sheet s;
    char token[256], cookie[256];

    page_begin(c, &s, TEXT_LOGIN_TITLE);
    page_form(&s, "/oauth2/x", purpose);
    assert_int_equal(page_end(&s), 0);
    rk_buf_put_u8(&c->out, 0);
    between((const char *)c->out.p, "name=\"csrf\" value=\"", "\"", token);
    if (c->headers_n > 0) {
        assert_string_equal(c->header[0].name, "Set-Cookie");
        assert_non_null(
            strstr(c->header[0].value, "; Path=/oauth2; HttpOnly; SameSite=Lax; Secure"));
        c->head.cookie =
            rk_arena_printf(c->arena, "a=b; %s", between(c->header[0].value, "", ";", cookie));
    }
    c->headers_n = 0;
    c->body = rk_str(rk_arena_printf(c->arena, "csrf=%s&a=x+y%%20z%%C3%%A4", token));
}

static void a_form_of_ours_comes_back_with_its_fields(void **state)
{
    struct world w;
    struct form f;
    struct rk_err err = { 0 };

    (void)state;
    world_init(&w);
    get_and_post(&w, "login 1");
    assert_int_equal(form_take(&w.call, "login 1", &f, &err), 0);
    assert_string_equal(form_get(&f, "a"), "x y z\xc3\xa4");
    assert_true(form_has(&f, "a"));
    assert_false(form_has(&f, "b"));
    assert_string_equal(form_get(&f, "b"), "");
    world_done(&w);
}

static void a_form_for_something_else_or_of_another_browser_is_refused(void **state)
{
    struct world w, other;
    struct form f;
    struct rk_err err = { 0 };

    (void)state;
    world_init(&w);
    world_init(&other);
    get_and_post(&w, "login 1");
    get_and_post(&other, "login 1");
    assert_int_equal(form_take(&w.call, "login 2", &f, &err), RK_DENIED);
    w.call.head.cookie = other.call.head.cookie;
    assert_int_equal(form_take(&w.call, "login 1", &f, &err), RK_DENIED);
    w.call.head.cookie = "netbird-page=";
    assert_int_equal(form_take(&w.call, "login 1", &f, &err), RK_DENIED);
    w.call.head.cookie = "";
    assert_int_equal(form_take(&w.call, "login 1", &f, &err), RK_DENIED);
    world_done(&w);
    world_done(&other);
}

static void a_form_without_its_token_is_refused(void **state)
{
    static const char *const bodies[] = { "", "a=1", "csrf=", "csrf=AAAA", "csrf=%00" };
    struct world w;
    struct form f;
    struct rk_err err = { 0 };

    (void)state;
    world_init(&w);
    get_and_post(&w, "login 1");
    for (size_t i = 0; i < RK_COUNT(bodies); i++) {
        w.call.body = rk_str(bodies[i]);
        assert_int_equal(form_take(&w.call, "login 1", &f, &err), RK_DENIED);
    }
    world_done(&w);
}

static void a_form_that_the_browser_says_came_from_elsewhere_is_refused(void **state)
{
    static const struct {
        const char *site, *origin;
        int want;
    } cases[] = {
        { "same-origin", "null", 0 },
        { "same-origin", "https://d.test", 0 },
        { "", "https://d.test", 0 },
        { "", "null", 0 },
        { "", "", 0 },
        { "cross-site", "null", RK_DENIED },
        { "same-site", "https://x.d.test", RK_DENIED },
        { "none", "", RK_DENIED },
        { "", "https://evil.test", RK_DENIED },
        { "", "https://d.test.evil.test", RK_DENIED },
        { "", "http://d.test", RK_DENIED },
    };
    struct world w;
    struct form f;
    struct rk_err err = { 0 };

    (void)state;
    world_init(&w);
    get_and_post(&w, "login 1");
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        w.call.head.fetch_site = cases[i].site;
        w.call.head.origin = cases[i].origin;
        assert_int_equal(form_take(&w.call, "login 1", &f, &err), cases[i].want);
    }
    world_done(&w);
}

static void forms_that_can_be_read_two_ways_are_refused(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } cases[] = { { "a=1&a=2", 7 }, { "a=1&%61=2", 9 }, { "a=\0b", 4 }, { "a=%ff", 5 } };
    struct world w;
    struct form f;
    struct rk_err err = { 0 };
    char many[4 * FORM_MAX_FIELDS + 8], *p = many;

    (void)state;
    world_init(&w);
    for (size_t i = 0; i < RK_COUNT(cases); i++)
        assert_int_equal(form_parse(rk_strn(cases[i].text, cases[i].n), w.call.arena, &f, &err),
                         RK_BAD_REQUEST);
    for (int i = 0; i <= FORM_MAX_FIELDS; i++)
        p += snprintf(p, 8, "%02x=&", i);
    assert_int_equal(form_parse(rk_str(many), w.call.arena, &f, &err), RK_BAD_REQUEST);
    assert_int_equal(form_parse(RK_STR("&&a&b=&"), w.call.arena, &f, &err), 0);
    assert_int_equal(f.n, 2);
    w.call.head.content_type = "application/json";
    assert_int_equal(form_take(&w.call, "x", &f, &err), RK_BAD_REQUEST);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_of_ours_comes_back_with_its_fields),
        cmocka_unit_test(a_form_for_something_else_or_of_another_browser_is_refused),
        cmocka_unit_test(a_form_without_its_token_is_refused),
        cmocka_unit_test(a_form_that_the_browser_says_came_from_elsewhere_is_refused),
        cmocka_unit_test(forms_that_can_be_read_two_ways_are_refused),
    };

    return RUN_TESTS(tests);
}
