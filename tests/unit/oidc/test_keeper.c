/* The keeper: fetches on its own thread, calls those who wait, lets nobody hang at the end. */

#include <stdio.h>

#include "libcommon/oidc/keeper.h"
#include "tests/support/web.h"

#define KEYS                                                                                       \
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\","                               \
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"

static void answer(struct web *w, const char *request, struct rk_buf *out)
{
    (void)request;
    web_reply(out, w->arg ? 200 : 500, "", KEYS);
}

struct world {
    struct rk_loop *loop;
    struct rk_keeper *keeper;
    unsigned heard;
};

struct waiter {
    struct rk_task task;
    struct world *w;
};

static struct rk_verifier *verifier(const struct web *web)
{
    static const struct rk_str audience = { "a", 1 };

    return rk_verifier_new(&(struct rk_verifier_options){ .issuer = web->url,
                                                          .keys_url = web->url,
                                                          .audiences = &audience,
                                                          .audiences_n = 1,
                                                          .allow_private = true });
}

/* What was posted and what closes. */
static void run_out(struct rk_loop *l)
{
    uv_run(rk_loop_uv(l), UV_RUN_NOWAIT);
    uv_run(rk_loop_uv(l), UV_RUN_NOWAIT);
}

static void on_heard(struct rk_task *t)
{
    struct waiter *me = rk_container_of(t, struct waiter, task);

    if (++me->w->heard == 3)
        rk_loop_stop(me->w->loop);
}

static void all_who_wait_are_called_after_one_fetch(void **state)
{
    rk_auto(web_free) struct web *web = web_new(answer, (void *)1);
    rk_auto(rk_verifier_free) struct rk_verifier *v = verifier(web);
    struct world w = { .loop = rk_loop_new() };
    struct waiter each[3];
    struct rk_verifier_state s;

    (void)state;
    web_hold(web, true);
    w.keeper = rk_keeper_new(w.loop, v, NULL);
    for (int i = 0; i < 3; i++) {
        each[i] = (struct waiter){ .task = { .run = on_heard }, .w = &w };
        rk_keeper_wait(w.keeper, &each[i].task);
    }
    web_until_waiting(web, 1); /* it was not waited for on this thread */
    assert_int_equal(w.heard, 0);
    web_hold(web, false);
    rk_loop_run(w.loop);
    assert_int_equal(w.heard, 3);
    assert_int_equal(atomic_load(&web->hits), 1);
    rk_verifier_state(v, &s);
    assert_true(s.ready);
    rk_keeper_close(w.keeper);
    run_out(w.loop);
    rk_loop_free(w.loop);
}

static void failure_is_told_too(void **state)
{
    rk_auto(web_free) struct web *web = web_new(answer, NULL);
    rk_auto(rk_verifier_free) struct rk_verifier *v = verifier(web);
    struct world w = { .loop = rk_loop_new(), .heard = 2 };
    struct waiter one = { .task = { .run = on_heard }, .w = &w };
    struct rk_verifier_state s;

    (void)state;
    w.keeper = rk_keeper_new(w.loop, v, NULL);
    rk_keeper_wait(w.keeper, &one.task);
    rk_loop_run(w.loop);
    rk_verifier_state(v, &s);
    assert_false(s.ready);
    assert_non_null(strstr(s.error, "500"));
    rk_keeper_close(w.keeper);
    run_out(w.loop);
    rk_loop_free(w.loop);
}

static void closing_calls_who_waits_for_a_provider_that_hangs(void **state)
{
    rk_auto(web_free) struct web *web = web_new(answer, (void *)1);
    rk_auto(rk_verifier_free) struct rk_verifier *v = verifier(web);
    struct world w = { .loop = rk_loop_new(), .heard = 1 };
    struct waiter one = { .task = { .run = on_heard }, .w = &w };

    (void)state;
    web_hold(web, true);
    w.keeper = rk_keeper_new(w.loop, v, NULL);
    rk_keeper_wait(w.keeper, &one.task);
    web_until_waiting(web, 1);
    rk_keeper_close(w.keeper);
    assert_int_equal(w.heard, 1); /* not from inside the close */
    w.heard = 2;
    rk_loop_run(w.loop);
    assert_int_equal(w.heard, 3);
    run_out(w.loop);
    rk_loop_free(w.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_who_wait_are_called_after_one_fetch),
        cmocka_unit_test(failure_is_told_too),
        cmocka_unit_test(closing_calls_who_waits_for_a_provider_that_hangs),
    };

    return RUN_TESTS(tests);
}
