/* Guarded requests: which URLs and addresses are refused, and what a hostile server gets away with:
 * nothing. */

#include <stdlib.h>

#include "libcommon/obs/trace.h"
#include "libcommon/oidc/fetch.h"
#include "tests/support/web.h"

static const struct rk_fetch_rules open_rules = { .allow_private = true };
static const struct rk_fetch_rules strict = { 0 };

static int get(const char *url,
               const struct rk_fetch_rules *rules,
               struct rk_fetch_answer *out,
               struct rk_err *err)
{
    struct rk_fetch_request q = { .url = url };

    *err = (struct rk_err){ 0 };
    return rk_fetch(rules, &q, out, err);
}

static void urls_are_https_and_nothing_but(void **state)
{
    static const struct {
        const char *url;
        int strict, open;
    } cases[] = {
        { "https://id.example.com/", 0, 0 },
        { "https://id.example.com:8443/a/b?c=d", 0, 0 },
        { "https://127.0.0.1/", 0, 0 }, /* its address is refused later */
        { "HTTPS://id.example.com", 0, 0 },
        { "http://id.example.com/", RK_DENIED, RK_DENIED },
        { "http://10.0.0.1/", RK_DENIED, RK_DENIED },
        { "http://localhost:80/", RK_DENIED, 0 },
        { "http://127.0.0.1:8080/x", RK_DENIED, 0 },
        { "http://[::1]/x", RK_DENIED, 0 },
        { "http://localhost.example.com/", RK_DENIED, RK_DENIED },
        { "http://127.0.0.1.example.com/", RK_DENIED, RK_DENIED },
        { "http://127.evil.com/", RK_DENIED, RK_DENIED },
        { "ftp://id.example.com/", RK_DENIED, RK_DENIED },
        { "file:///etc/passwd", RK_INVALID, RK_INVALID },
        { "gopher://127.0.0.1:6379/_x", RK_DENIED, RK_DENIED },
        { "https://user@id.example.com/", RK_INVALID, RK_INVALID },
        { "https://user:pw@id.example.com/", RK_INVALID, RK_INVALID },
        { "https://id.example.com\\@evil.com/", RK_INVALID, RK_INVALID },
        { "https://id.example.com/#x", RK_INVALID, RK_INVALID },
        { "https://id.example.com/#", RK_INVALID, RK_INVALID },
        { "https://[fe80::1%25lo]/", RK_INVALID, RK_INVALID },
        { "https:///x", RK_INVALID, RK_INVALID },
        { "https:/x.org/?a=://b", RK_INVALID, RK_INVALID },
        { "https:x.org", RK_INVALID, RK_INVALID },
        { "https://", RK_INVALID, RK_INVALID },
        { "id.example.com", RK_INVALID, RK_INVALID },
        { "//id.example.com/", RK_INVALID, RK_INVALID },
        { "/etc/passwd", RK_INVALID, RK_INVALID },
        { "https://id.example.com:99999/", RK_INVALID, RK_INVALID },
        { "https://id.example.com/a b", RK_INVALID, RK_INVALID },
        { "https://id.example.com/\r\nX: y", RK_INVALID, RK_INVALID },
        { "", RK_INVALID, RK_INVALID },
        { NULL, RK_INVALID, RK_INVALID },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        int s = rk_fetch_check_url(&strict, cases[i].url, NULL);
        int o = rk_fetch_check_url(&open_rules, cases[i].url, NULL);

        if (s != cases[i].strict || o != cases[i].open)
            print_error("%s: %d %d\n", cases[i].url, s, o);
        assert_int_equal(s, cases[i].strict);
        assert_int_equal(o, cases[i].open);
    }
}

static void answer_hello(struct web *w, const char *request, struct rk_buf *out)
{
    (void)w;
    (void)request;
    web_reply(
        out, 200,
        "Content-Type: Application/JSON; charset=utf-8\r\nCache-Control: public, max-age=600\r\n",
        "hello");
}

static void private_addresses_are_refused_before_anything_is_sent(void **state)
{
    rk_auto(web_free) struct web *w = web_new(answer_hello, NULL);
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
    static const char *const forms[] = { "127.0.0.1", "localhost",  "2130706433",        "0x7f.1",
                                         "127.1",     "0177.0.0.1", "[::ffff:127.0.0.1]" };
    char url[128];
    struct rk_err err;

    (void)state;
    rk_fetch_answer_init(&answer);
    for (size_t i = 0; i < RK_COUNT(forms); i++) {
        snprintf(url, sizeof(url), "https://%s:%u/", forms[i], w->port);
        assert_int_equal(get(url, &strict, &answer, &err), RK_DENIED);
    }
    /* Never, whatever is allowed. */
    assert_int_equal(get("https://169.254.169.254/latest/meta-data", &open_rules, &answer, &err),
                     RK_DENIED);
    assert_int_equal(get("https://[fe80::1]/", &open_rules, &answer, &err), RK_DENIED);
    assert_int_equal(get("https://0.0.0.0/", &open_rules, &answer, &err), RK_DENIED);
    assert_int_equal(atomic_load(&w->hits), 0);
    assert_int_equal(w->n, 0);
}

static void an_answer_comes_with_status_type_and_age(void **state)
{
    rk_auto(web_free) struct web *w = web_new(answer_hello, NULL);
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
    struct rk_err err;

    (void)state;
    rk_fetch_answer_init(&answer);
    assert_int_equal(get(w->url, &open_rules, &answer, &err), 0);
    assert_int_equal(answer.status, 200);
    assert_true(rk_str_eq(rk_buf_str(&answer.body), RK_STR("hello")));
    assert_string_equal(answer.content_type, "application/json");
    assert_int_equal(answer.max_age_s, 600);
}

static void answer_age(struct web *w, const char *request, struct rk_buf *out)
{
    (void)request;
    web_reply(out, 200, w->arg, "");
}

static void ages_are_read_as_rfc_9111_writes_them(void **state)
{
    static const struct {
        const char *header;
        int64_t age;
    } cases[] = {
        { "", -1 },
        { "Cache-Control: max-age=0\r\n", 0 },
        { "cache-control:max-age=7\r\n", 7 },
        { "Cache-Control: public ,  Max-Age = \"9\" , x\r\n", 9 },
        { "Cache-Control: max-age=10\r\nCache-Control: no-store\r\n", 0 },
        { "Cache-Control: no-cache, max-age=10\r\n", 0 },
        { "Cache-Control: s-maxage=10\r\n", -1 },
        { "Cache-Control: max-age=x\r\n", -1 },
        { "Cache-Control: max-age=-5\r\n", -1 },
        { "Cache-Control: max-age\r\n", -1 },
        { "Cache-Control: max-age=99999999999\r\n", 31536000 },
        { "Cache-Control: max-age=99999999999999999999999\r\n", -1 },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_auto(web_free) struct web *w = web_new(answer_age, (void *)(uintptr_t)cases[i].header);
        rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
        struct rk_err err;

        rk_fetch_answer_init(&answer);
        assert_int_equal(get(w->url, &open_rules, &answer, &err), 0);
        if (answer.max_age_s != cases[i].age)
            print_error("%s", cases[i].header);
        assert_int_equal(answer.max_age_s, cases[i].age);
        assert_string_equal(answer.content_type, "");
    }
}

static void answer_redirect(struct web *w, const char *request, struct rk_buf *out)
{
    char location[128];

    (void)request;
    snprintf(location, sizeof(location), "Location: %s/elsewhere\r\n", w->url);
    web_reply(out, 302, location, "go");
}

static void redirects_are_answers_and_nothing_else(void **state)
{
    rk_auto(web_free) struct web *w = web_new(answer_redirect, NULL);
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
    struct rk_err err;

    (void)state;
    rk_fetch_answer_init(&answer);
    assert_int_equal(get(w->url, &open_rules, &answer, &err), 0);
    assert_int_equal(answer.status, 302);
    assert_int_equal(atomic_load(&w->hits), 1);
}

static void answer_long(struct web *w, const char *request, struct rk_buf *out)
{
    size_t n = w->arg ? RK_FETCH_MAX_BYTES : RK_FETCH_MAX_BYTES + 1;

    if (strstr(request, "/told"))
        rk_buf_printf(out, "HTTP/1.1 200 X\r\nContent-Length: %zu\r\n\r\n", n);
    else
        rk_buf_put_c(out, "HTTP/1.1 200 X\r\nConnection: close\r\n\r\n");
    memset(rk_buf_reserve(out, n), 'x', n);
    rk_buf_commit(out, n);
}

static void an_answer_has_a_mebibyte_at_most(void **state)
{
    static const char *const paths[] = { "/told", "/untold" };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(paths); i++) {
        rk_auto(web_free) struct web *over = web_new(answer_long, NULL);
        rk_auto(web_free) struct web *just = web_new(answer_long, over);
        rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer, second;
        char url[128];
        struct rk_err err;

        rk_fetch_answer_init(&answer);
        rk_fetch_answer_init(&second);
        snprintf(url, sizeof(url), "%s%s", over->url, paths[i]);
        assert_int_equal(get(url, &open_rules, &answer, &err), RK_EXHAUSTED);
        snprintf(url, sizeof(url), "%s%s", just->url, paths[i]);
        assert_int_equal(get(url, &open_rules, &second, &err), 0);
        assert_int_equal(second.body.n, RK_FETCH_MAX_BYTES);
    }
}

static void answer_garbage(struct web *w, const char *request, struct rk_buf *out)
{
    (void)w;
    (void)request;
    rk_buf_put_c(out, "SECRET-GARBAGE\x01\x02\r\n\r\nSECRET");
}

static void answer_nothing(struct web *w, const char *request, struct rk_buf *out)
{
    (void)w;
    (void)request;
    (void)out;
}

static void answer_half(struct web *w, const char *request, struct rk_buf *out)
{
    (void)w;
    (void)request;
    rk_buf_put_c(out, "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nSECRET");
}

static void nonsense_is_unavailable_and_is_not_repeated(void **state)
{
    web_answer_fn *answers[] = { answer_garbage, answer_nothing, answer_half };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(answers); i++) {
        rk_auto(web_free) struct web *w = web_new(answers[i], NULL);
        rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
        struct rk_err err;

        rk_fetch_answer_init(&answer);
        assert_int_equal(get(w->url, &open_rules, &answer, &err), RK_UNAVAILABLE);
        assert_non_null(strstr(err.msg, "127.0.0.1"));
        assert_null(strstr(err.msg, "SECRET"));
    }
}

static void nobody_there_is_unavailable(void **state)
{
    struct web *w = web_new(answer_hello, NULL);
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
    char url[64];
    struct rk_err err;

    (void)state;
    rk_fetch_answer_init(&answer);
    memcpy(url, w->url, sizeof(url));
    web_free(w);
    assert_int_equal(get(url, &open_rules, &answer, &err), RK_UNAVAILABLE);
}

struct echo {
    char request[65536];
};

static void answer_echo(struct web *w, const char *request, struct rk_buf *out)
{
    struct echo *e = w->arg;

    snprintf(e->request, sizeof(e->request), "%s", request);
    web_reply(out, 401, "", "no");
}

static void forms_and_credentials_are_sent_as_the_rfcs_say(void **state)
{
    struct echo *e = rk_new(struct echo);
    struct web *w = web_new(answer_echo, e);
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
    rk_auto(rk_buf_done) struct rk_buf form;
    struct rk_fetch_request q = { .url = w->url,
                                  .basic_user = "my client",
                                  .basic_password = "p:w/ü" };
    struct rk_err err = { 0 };
    struct rk_trace trace;

    (void)state;
    rk_fetch_answer_init(&answer);
    rk_buf_init(&form, 1024);
    rk_form_put(&form, "grant_type", RK_STR("authorization_code"));
    rk_form_put(&form, "code", RK_STR("a b&c=d%+~-._"));
    q.form = rk_buf_str(&form);
    assert_int_equal(rk_fetch(&open_rules, &q, &answer, &err), 0);
    assert_int_equal(answer.status, 401);
    assert_true(strncmp(e->request, "POST / HTTP/1.1\r\n", 17) == 0);
    assert_non_null(
        strcasestr(e->request, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    /* base64("my%20client:p%3Aw%2F%C3%BC") */
    assert_non_null(
        strstr(e->request, "\r\nAuthorization: Basic bXklMjBjbGllbnQ6cCUzQXclMkYlQzMlQkM=\r\n"));
    assert_non_null(
        strstr(e->request, "\r\n\r\ngrant_type=authorization_code&code=a%20b%26c%3Dd%25%2B~-._"));

    assert_null(strcasestr(e->request, "\r\ntraceparent"));

    q = (struct rk_fetch_request){ .url = w->url, .bearer = "abc" };
    rk_fetch_answer_done(&answer);
    rk_fetch_answer_init(&answer);
    rk_trace_begin(&trace, RK_STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    rk_trace_enter(&trace);
    assert_int_equal(rk_fetch(&open_rules, &q, &answer, &err), 0);
    rk_trace_leave();
    assert_non_null(strstr(e->request, "\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    assert_true(strncmp(e->request, "GET / HTTP/1.1\r\n", 16) == 0);
    assert_non_null(strstr(e->request, "\r\nAuthorization: Bearer abc\r\n"));
    assert_null(strcasestr(e->request, "\r\nCookie"));

    q.bearer = "abc\r\nX-Injected: 1";
    assert_int_equal(rk_fetch(&open_rules, &q, &answer, &err), RK_INVALID);
    web_free(w);
    rk_free(e);
}

static void proxies_of_the_environment_are_not_used(void **state)
{
    rk_auto(web_free) struct web *w = web_new(answer_hello, NULL);
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
    struct rk_err err;

    (void)state;
    rk_fetch_answer_init(&answer);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    assert_int_equal(get(w->url, &open_rules, &answer, &err), 0);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
}

static void *stop_it(void *arg)
{
    web_until_waiting(((void **)arg)[0], 1);
    atomic_store((_Atomic bool *)((void **)arg)[1], true);
    return NULL;
}

static void a_request_under_way_ends_when_it_is_told_to(void **state)
{
    rk_auto(web_free) struct web *w = web_new(answer_hello, NULL);
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
    _Atomic bool stop = false;
    const struct rk_fetch_rules rules = { .allow_private = true, .stop = &stop };
    void *args[] = { w, (void *)(uintptr_t)&stop };
    pthread_t thread;
    struct rk_err err;

    (void)state;
    rk_fetch_answer_init(&answer);
    web_hold(w, true);
    pthread_create(&thread, NULL, stop_it, args);
    assert_int_equal(get(w->url, &rules, &answer, &err), RK_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "stopping"));
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_https_and_nothing_but),
        cmocka_unit_test(private_addresses_are_refused_before_anything_is_sent),
        cmocka_unit_test(an_answer_comes_with_status_type_and_age),
        cmocka_unit_test(ages_are_read_as_rfc_9111_writes_them),
        cmocka_unit_test(redirects_are_answers_and_nothing_else),
        cmocka_unit_test(an_answer_has_a_mebibyte_at_most),
        cmocka_unit_test(nonsense_is_unavailable_and_is_not_repeated),
        cmocka_unit_test(nobody_there_is_unavailable),
        cmocka_unit_test(forms_and_credentials_are_sent_as_the_rfcs_say),
        cmocka_unit_test(proxies_of_the_environment_are_not_used),
        cmocka_unit_test(a_request_under_way_ends_when_it_is_told_to),
    };

    return RUN_TESTS(tests);
}
