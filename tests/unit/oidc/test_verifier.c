/*
 * The verifier against a provider that rotates, goes away, is slow and talks nonsense. Nothing here
 * looks at the clock: a fetch is counted by the server that was asked, and slowness is a server
 * that waits until the test lets it go.
 */

#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/clock.h"
#include "libcommon/oidc/verifier_int.h"
#include "tests/support/tokens.h"
#include "tests/support/web.h"

/* A provider: one set of keys at /keys, its document where it must be. */
struct provider {
    struct rk_arena *arena;
    struct web *web;
    pthread_mutex_t lock;
    const char *keys; /* what /keys says: a body */
    const char *headers;
    int status;
    bool no_document;
    _Atomic unsigned asked_keys, asked_document;
    struct token_key one, two;
    struct rk_verifier *v;
};

static void answer(struct web *w, const char *request, struct rk_buf *out)
{
    struct provider *p = w->arg;
    char body[512];

    pthread_mutex_lock(&p->lock);
    if (strncmp(request, "GET /keys ", 10) == 0) {
        atomic_fetch_add(&p->asked_keys, 1);
        web_reply(out, p->status, p->headers, p->keys);
    } else if (strstr(request, "GET /.well-known/openid-configuration ") && !p->no_document) {
        atomic_fetch_add(&p->asked_document, 1);
        snprintf(body, sizeof(body),
                 "{\"issuer\":\"%s\",\"jwks_uri\":\"%s/keys\",\"token_endpoint\":\"%s/t\"}", w->url,
                 w->url, w->url);
        web_reply(out, 200, "", body);
    } else {
        web_reply(out, 404, "", "");
    }
    pthread_mutex_unlock(&p->lock);
}

static void publish(struct provider *p, int status, const char *keys)
{
    pthread_mutex_lock(&p->lock);
    p->status = status;
    p->keys = keys;
    pthread_mutex_unlock(&p->lock);
}

static char *set_of(struct provider *p, const struct token_key *k)
{
    return rk_arena_printf(p->arena, "{\"keys\":[%s]}", token_jwk(p->arena, k, ",\"use\":\"sig\""));
}

static int up(void **state)
{
    struct provider *p = rk_new(struct provider);
    const struct rk_str audience = RK_STR("api");

    p->arena = rk_arena_new(64 << 20);
    pthread_mutex_init(&p->lock, NULL);
    p->headers = "Cache-Control: max-age=600\r\n";
    p->web = web_new(answer, p);
    p->one = token_key_new("ES256", "one");
    p->two = token_key_new("ES256", "two");
    publish(p, 200, set_of(p, &p->one));
    p->v = rk_verifier_new(&(struct rk_verifier_options){
        .issuer = p->web->url, .audiences = &audience, .audiences_n = 1, .allow_private = true });
    *state = p;
    return 0;
}

static int down(void **state)
{
    struct provider *p = *state;

    rk_verifier_free(p->v);
    web_free(p->web);
    token_key_done(&p->one);
    token_key_done(&p->two);
    rk_arena_free(p->arena);
    rk_free(p);
    return 0;
}

static char *token(struct provider *p, struct rk_arena *a, const struct token_key *k)
{
    long long now = rk_wall_s();

    return token_make(
        a, k,
        rk_arena_printf(a,
                        "{\"iss\":\"%s\",\"aud\":\"api\",\"sub\":\"u\",\"exp\":%lld,\"iat\":%lld}",
                        p->web->url, now + 600, now));
}

static int check_once(struct provider *p, const struct token_key *k)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new(1 << 20);
    struct rk_str t = rk_str(token(p, a, k));
    struct rk_err err = { 0 };
    struct rk_claims c;
    int r = rk_verifier_check(p->v, t, a, &c, &err);

    if (r == 0)
        assert_string_equal(c.user_id, "u");
    if (r < 0)
        assert_true(err.msg[0] != '\0');
    return r;
}

/* As a service does it. */
static int check(struct provider *p, const struct token_key *k)
{
    int r = check_once(p, k);

    if (r != RK_VERIFIER_FETCH)
        return r;
    (void)!rk_verifier_fetch(p->v, NULL, NULL);
    return check_once(p, k);
}

static void the_first_token_brings_the_keys(void **state)
{
    struct provider *p = *state;
    struct rk_verifier_state s;

    assert_null(rk_verifier_provider(p->v));
    rk_verifier_state(p->v, &s);
    assert_false(s.ready);
    assert_int_equal(s.age_s, -1);
    assert_int_equal(check_once(p, &p->one), RK_VERIFIER_FETCH);
    assert_int_equal(check(p, &p->one), 0);
    assert_int_equal(check(p, &p->one), 0);
    assert_int_equal(p->asked_keys, 1);
    assert_int_equal(p->asked_document, 1);
    rk_verifier_state(p->v, &s);
    assert_true(s.ready && s.keys == 1 && s.error[0] == '\0');
    assert_false(rk_verifier_due(p->v));
}

static void a_rotated_key_is_fetched_exactly_once(void **state)
{
    struct provider *p = *state;

    assert_int_equal(check(p, &p->one), 0);
    publish(p, 200, set_of(p, &p->two));
    assert_int_equal(check(p, &p->two), 0);
    assert_int_equal(check(p, &p->two), 0);
    assert_int_equal(p->asked_keys, 2);
    /* The key that is gone is gone. */
    assert_int_equal(check(p, &p->one), RK_UNAUTHENTICATED);
    assert_int_equal(p->asked_keys, 2);
}

static void a_hundred_unknown_kids_cost_one_fetch(void **state)
{
    struct provider *p = *state;
    char kid[16];

    assert_int_equal(check(p, &p->one), 0);
    for (int i = 0; i < 100; i++) {
        struct token_key stranger = { p->two.key, kid, "ES256" };

        snprintf(kid, sizeof(kid), "k%d", i);
        assert_int_equal(check(p, &stranger), RK_UNAUTHENTICATED);
    }
    assert_int_equal(p->asked_keys, 2);
    assert_int_equal(check(p, &p->one), 0);
}

static void hostile_tokens_cause_no_request(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\",\"kid\":\"zz\"}",
        "{\"alg\":\"HS256\",\"kid\":\"zz\"}",
        "{\"alg\":\"ES256\"}",
        "{\"alg\":\"RS256\",\"kid\":\"one\"}",
        "{\"alg\":\"ES256\",\"kid\":\"zz\",\"crit\":[\"x\"]}",
        "{\"alg\":\"ES256\",\"kid\":\"one\",\"jku\":\"http://127.0.0.1:1/\"}",
    };
    struct provider *p = *state;
    unsigned before;

    assert_int_equal(check(p, &p->one), 0);
    before = atomic_load(&p->web->hits);
    for (size_t i = 0; i < RK_COUNT(headers); i++) {
        char *t = token_sign(p->arena, &p->two, "ES256", headers[i], "{}");
        struct rk_claims c;

        assert_int_equal(rk_verifier_check(p->v, rk_str(t), p->arena, &c, NULL),
                         RK_UNAUTHENTICATED);
    }
    assert_int_equal(atomic_load(&p->web->hits), before);
}

static void the_last_good_keys_stay_when_the_provider_fails(void **state)
{
    struct provider *p = *state;
    static const struct {
        int status;
        const char *body;
    } bad[] = { { 500, "oops" },
                { 200, "<html>maintenance</html>" },
                { 200, "{\"keys\":[]}" },
                { 200, "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"one\",\"k\":\"AA\"}]}" },
                { 302, "" },
                { 204, "" } };
    struct rk_verifier_state s;
    struct rk_err err = { 0 };
    char trouble[RK_VERIFIER_TROUBLE_LEN];

    rk_verifier_trouble(p->v, trouble);
    assert_string_equal(trouble, "nobody can sign in: no keys yet");
    assert_int_equal(check(p, &p->one), 0);
    rk_verifier_trouble(p->v, trouble);
    assert_string_equal(trouble, "");
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        publish(p, bad[i].status, bad[i].body);
        rk_verifier_expire(p->v);
        assert_true(rk_verifier_due(p->v));
        assert_true(rk_verifier_fetch(p->v, NULL, &err) < 0);
        assert_int_equal(check(p, &p->one), 0);
        rk_verifier_state(p->v, &s);
        assert_true(s.ready && s.error[0] != '\0');
        rk_verifier_trouble(p->v, trouble);
        assert_non_null(strstr(trouble, "cannot be had"));
        assert_null(strstr(s.error, "oops"));
        assert_null(strstr(s.error, "maintenance"));
        assert_false(rk_verifier_due(p->v)); /* not at once again */
    }
    web_free(p->web); /* nobody listens any more */
    p->web = web_new(answer, p);
    rk_verifier_expire(p->v);
    assert_true(rk_verifier_fetch(p->v, NULL, &err) < 0);
    rk_verifier_state(p->v, &s);
    assert_true(s.ready);
}

static void without_any_keys_it_says_so_and_waits_before_it_asks_again(void **state)
{
    struct provider *p = *state;

    publish(p, 500, "");
    assert_int_equal(check(p, &p->one), RK_UNAVAILABLE);
    assert_int_equal(p->asked_keys, 1);
    assert_int_equal(check_once(p, &p->one), RK_UNAVAILABLE);
    assert_int_equal(p->asked_keys, 1);
    /* Endpoints are known all the same: flows work. */
    rk_provider_unref(rk_verifier_provider(p->v));

    publish(p, 200, set_of(p, &p->one));
    rk_verifier_expire(p->v);
    assert_int_equal(check(p, &p->one), 0);
}

static void a_document_that_went_missing_does_not_matter_once_it_was_read(void **state)
{
    struct provider *p = *state;
    struct rk_provider *seen;

    p->no_document = true;
    assert_int_equal(check(p, &p->one), RK_UNAVAILABLE);
    assert_null(rk_verifier_provider(p->v));
    p->no_document = false;
    rk_verifier_expire(p->v);
    assert_int_equal(check(p, &p->one), 0);
    p->no_document = true;
    publish(p, 500, "");
    rk_verifier_expire(p->v);
    assert_true(rk_verifier_fetch(p->v, NULL, NULL) < 0);
    publish(p, 200,
            set_of(p, &p->two)); /* asks for the document again, in vain, then for the keys */
    rk_verifier_expire(p->v);
    assert_int_equal(rk_verifier_fetch(p->v, NULL, NULL), 0);
    assert_int_equal(check(p, &p->two), 0);
    seen = rk_verifier_provider(p->v);
    assert_true(rk_str_ends(rk_str(seen->token_endpoint), RK_STR("/t")));
    rk_provider_unref(seen);
}

struct fetcher {
    struct provider *p;
    pthread_t thread;
    int r;
};

static void *fetch_in_thread(void *arg)
{
    struct fetcher *f = arg;

    f->r = rk_verifier_fetch(f->p->v, NULL, NULL);
    return NULL;
}

static void a_slow_provider_holds_up_only_those_who_need_its_answer(void **state)
{
    struct provider *p = *state;
    struct fetcher f[8];

    assert_int_equal(check(p, &p->one), 0);
    publish(p, 200, set_of(p, &p->two));
    web_hold(p->web, true);
    assert_int_equal(check_once(p, &p->two), RK_VERIFIER_FETCH);
    for (size_t i = 0; i < RK_COUNT(f); i++) {
        f[i].p = p;
        pthread_create(&f[i].thread, NULL, fetch_in_thread, &f[i]);
    }
    web_until_waiting(p->web, 1);
    /* The request hangs. Everybody with a key that is known is served meanwhile. */
    for (int i = 0; i < 1000; i++)
        assert_int_equal(check_once(p, &p->one), 0);
    assert_int_equal(check_once(p, &p->two), RK_VERIFIER_FETCH);
    assert_false(rk_verifier_due(p->v));
    web_hold(p->web, false);
    for (size_t i = 0; i < RK_COUNT(f); i++) {
        pthread_join(f[i].thread, NULL);
        assert_int_equal(f[i].r, 0);
    }
    assert_int_equal(p->asked_keys, 2); /* one fetch for all eight */
    assert_int_equal(check_once(p, &p->two), 0);
}

static void stopping_ends_a_fetch_that_hangs(void **state)
{
    struct provider *p = *state;
    struct fetcher f = { .p = p };

    web_hold(p->web, true);
    pthread_create(&f.thread, NULL, fetch_in_thread, &f);
    web_until_waiting(p->web, 1);
    rk_verifier_stop(p->v);
    pthread_join(f.thread, NULL);
    assert_int_equal(f.r, RK_UNAVAILABLE);
}

static _Atomic bool over;

static void *check_in_thread(void *arg)
{
    struct provider *p = arg;
    size_t good = 0;

    while (!atomic_load(&over)) {
        int r = check_once(p, &p->one);

        if (r == 0)
            good++;
        else
            return NULL;
    }
    return good > 0 ? p : NULL;
}

static void many_threads_check_while_keys_come_and_go(void **state)
{
    struct provider *p = *state;
    char *both = rk_arena_printf(p->arena, "{\"keys\":[%s,%s]}", token_jwk(p->arena, &p->one, ""),
                                 token_jwk(p->arena, &p->two, ""));
    pthread_t threads[4];

    atomic_store(&over, false);
    assert_int_equal(check(p, &p->one), 0);
    for (size_t i = 0; i < RK_COUNT(threads); i++)
        pthread_create(&threads[i], NULL, check_in_thread, p);
    for (int i = 0; i < 50; i++) {
        publish(p, 200, i % 2 ? both : set_of(p, &p->one));
        rk_verifier_expire(p->v);
        assert_int_equal(rk_verifier_fetch(p->v, NULL, NULL), 0);
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < RK_COUNT(threads); i++) {
        void *good;

        pthread_join(threads[i], &good);
        assert_ptr_equal(good, p);
    }
}

static void private_providers_need_permission(void **state)
{
    struct provider *p = *state;
    const struct rk_str audience = RK_STR("api");
    rk_auto(rk_verifier_free) struct rk_verifier *v = rk_verifier_new(&(struct rk_verifier_options){
        .issuer = p->web->url, .audiences = &audience, .audiences_n = 1 });
    struct rk_err err = { 0 };

    assert_int_equal(rk_verifier_fetch(v, NULL, &err), RK_DENIED);
    assert_int_equal(atomic_load(&p->web->hits), 0);
}

static void the_configured_issuer_and_keys_go_before_the_documents(void **state)
{
    struct provider *p = *state;
    const struct rk_str audience = RK_STR("api");
    char *keys = rk_arena_printf(p->arena, "%s/keys", p->web->url);
    char *doc = rk_arena_printf(p->arena, "%s/.well-known/openid-configuration", p->web->url);
    rk_auto(rk_verifier_free) struct rk_verifier *only_keys =
        rk_verifier_new(&(struct rk_verifier_options){ .issuer = "urn:x",
                                                       .keys_url = keys,
                                                       .audiences = &audience,
                                                       .audiences_n = 1,
                                                       .allow_private = true });
    rk_auto(rk_verifier_free) struct rk_verifier *other =
        rk_verifier_new(&(struct rk_verifier_options){ .issuer = "urn:x",
                                                       .discovery_url = doc,
                                                       .audiences = &audience,
                                                       .audiences_n = 1,
                                                       .allow_private = true });
    struct rk_claims c;
    rk_auto(rk_provider_unref) struct rk_provider *seen = NULL;
    char *t = token_make(
        p->arena, &p->one,
        rk_arena_printf(p->arena,
                        "{\"iss\":\"urn:x\",\"aud\":\"api\",\"sub\":\"u\",\"exp\":%lld,\"iat\":1}",
                        (long long)rk_wall_s() + 60));

    assert_int_equal(rk_verifier_fetch(only_keys, NULL, NULL), 0);
    assert_int_equal(p->asked_document, 0);
    assert_int_equal(rk_verifier_check(only_keys, rk_str(t), p->arena, &c, NULL), 0);
    assert_int_equal(rk_verifier_fetch(other, NULL, NULL), 0);
    assert_int_equal(rk_verifier_check(other, rk_str(t), p->arena, &c, NULL), 0);
    seen = rk_verifier_provider(other);
    assert_string_equal(seen->issuer, "urn:x");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_token_brings_the_keys),
        TEST(a_rotated_key_is_fetched_exactly_once),
        TEST(a_hundred_unknown_kids_cost_one_fetch),
        TEST(hostile_tokens_cause_no_request),
        TEST(the_last_good_keys_stay_when_the_provider_fails),
        TEST(without_any_keys_it_says_so_and_waits_before_it_asks_again),
        TEST(a_document_that_went_missing_does_not_matter_once_it_was_read),
        TEST(a_slow_provider_holds_up_only_those_who_need_its_answer),
        TEST(stopping_ends_a_fetch_that_hangs),
        TEST(many_threads_check_while_keys_come_and_go),
        TEST(private_providers_need_permission),
        TEST(the_configured_issuer_and_keys_go_before_the_documents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
