/* A registrar and a management that says yes to everything, in one loop. */

#include "libcommon/edge/registrar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/grpc/server.h"
#include "libcommon/obs/metrics.h"
#include "tests/support/test.h"

#define LIMIT_MS 10000

struct fixture {
    struct rk_loop *loop;
    struct rk_grpc_server *management;
    struct rk_registrar *registrar;
    struct rk_timer limit;
    char url[64];
    struct rk_edge_config cfg;
    unsigned asked, left;
    bool management_closed, late;
};

static void on_message(struct rk_grpc_call *c, struct rk_str msg, void *arg)
{
    struct fixture *f = arg;

    (void)msg;
    f->asked++;
    rk_grpc_send(c, RK_STR(""));
    rk_grpc_finish(c, RK_GRPC_OK, NULL);
}

static const struct rk_grpc_method methods[] = {
    { .path = RK_EDGE_METHOD, .max_in = RK_CLAIM_MAX * 2, .on_message = on_message },
};

static void on_limit(struct rk_timer *t)
{
    rk_container_of(t, struct fixture, limit)->late = true;
}

#define UNTIL(f, cond)                                                                             \
    do {                                                                                           \
        rk_timer_start(&(f)->limit, LIMIT_MS, 0);                                                  \
        while (!(cond) && !(f)->late)                                                              \
            uv_run(rk_loop_uv((f)->loop), UV_RUN_ONCE);                                            \
        rk_timer_stop(&(f)->limit);                                                                \
        if ((f)->late)                                                                             \
            fail_msg("never: %s", #cond);                                                          \
    } while (0)

static int setup(void **state)
{
    struct fixture *f = rk_new(struct fixture);
    struct rk_grpc_server_config cfg = { .methods = methods, .count = 1, .arg = f };
    struct rk_err err = { 0 };
    struct rk_addr any;

    f->loop = rk_loop_new();
    rk_timer_init(f->loop, &f->limit, on_limit);
    assert_int_equal(rk_addr_parse(RK_STR("127.0.0.1:0"), &any, &err), 0);
    assert_int_equal(rk_grpc_server_new(f->loop, &any, &cfg, &f->management, &err), 0);
    (void)snprintf(f->url, sizeof(f->url), "http://%s", rk_grpc_server_address(f->management));
    f->cfg =
        (struct rk_edge_config){ .management_url = f->url, .region_at = f->url + strlen(f->url) };
    assert_int_equal(
        rk_registrar_new(f->loop,
                         &(struct rk_registrar_terms){ .cfg = &f->cfg,
                                                       .url = "rels://relay.example:443",
                                                       .relay_secret = "secret" },
                         &f->registrar, &err),
        0);
    *state = f;
    return 0;
}

static void on_management_closed(void *arg)
{
    ((struct fixture *)arg)->management_closed = true;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    rk_registrar_close(f->registrar);
    rk_grpc_server_close(f->management, on_management_closed, f);
    UNTIL(f, f->management_closed);
    rk_timer_close(&f->limit, NULL);
    rk_loop_free(f->loop);
    free(f);
    return 0;
}

static bool registered(void)
{
    rk_auto(rk_buf_done) struct rk_buf b;

    rk_buf_init(&b, SIZE_MAX);
    rk_metrics_print(&b);
    rk_buf_put_u8(&b, 0);
    return strstr((const char *)b.p, "\nrookery_edge_registered 1\n") != NULL;
}

static void on_left(void *arg)
{
    struct fixture *f = arg;

    f->left++;
}

static void who_has_said_goodbye_is_registered_no_longer(void **state)
{
    struct fixture *f = *state;

    UNTIL(f, registered());
    assert_int_equal(f->asked, 1);
    rk_registrar_leave(f->registrar, on_left, f);
    assert_int_equal(f->left, 0);
    UNTIL(f, f->left == 1);
    assert_int_equal(f->asked, 2);
    assert_false(registered());
    UNTIL(f, f->asked == 3); /* said again, while it drains */
    assert_false(registered());
    assert_int_equal(f->left, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_has_said_goodbye_is_registered_no_longer, setup,
                                        teardown),
    };

    rk_registrar_metrics_register();
    return RUN_TESTS(tests);
}
