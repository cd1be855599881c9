/* The client against a real Redis: commands, subscriptions, loss and return. */

#include "tests/support/test.h"

#include "libcommon/rds/rds.h"
#include "tests/support/certificate.h"
#include "tests/support/pg_fixture.h"
#include "tests/support/rds_probe.h"

static const struct rk_rds_config at = { .redis = fx.redis };

static void commands_and_messages(void **state)
{
    struct probe p;

    (void)state;
    assert_true(fixture_start_redis(&fx));
    open_probe(&p, &at);
    rk_rds_subscribe(p.r, "news");
    p.stop_ups = 1;
    run(&p);
    rk_rds_run(p.r, on_reply, &p, RK_STR("SET"), RK_STR("k"), RK_STR("a\0b"));
    rk_rds_run(p.r, on_reply, &p, RK_STR("STRLEN"), RK_STR("k"));
    assert_int_equal(p.replies, 0);
    p.stop_replies = 2;
    run(&p);
    assert_int_equal(p.last.code, 0);
    assert_int_equal(p.last.integer, 3);
    rk_rds_run(p.r, on_reply, &p, RK_STR("MGET"), RK_STR("absent"), RK_STR("k"));
    p.stop_replies = 3;
    run(&p);
    assert_string_equal(p.text, "2:");
    rk_rds_run(p.r, on_reply, &p, RK_STR("NONSENSE"));
    p.stop_replies = 4;
    run(&p);
    assert_int_equal(p.last.code, RK_INTERNAL);
    news_arrive(&p);
    assert_string_equal(p.text, "news=hello");
    close_probe(&p);
    fixture_stop_redis(&fx);
}

static void killed_and_back_it_is_subscribed_again(void **state)
{
    struct probe p;

    (void)state;
    assert_true(fixture_start_redis(&fx));
    open_probe(&p, &at);
    rk_rds_subscribe(p.r, "one");
    p.stop_ups = 1;
    run(&p);
    fixture_stop_redis(&fx);
    p.stop_downs = 1;
    run(&p);
    assert_int_equal(p.downs, 1);
    rk_rds_run(p.r, on_reply, &p, RK_STR("PING"));
    assert_int_equal(p.replies, 0); /* never inside the call */
    p.stop_replies = 1;
    run(&p);
    assert_int_equal(p.last.code, RK_UNAVAILABLE);
    rk_rds_subscribe(p.r, "two"); /* remembered while it is away */
    assert_true(fixture_start_redis(&fx));
    p.stop_ups = 2;
    run(&p);
    assert_int_equal(p.ups, 2);
    assert_int_equal(p.downs, 1);
    rk_rds_publish(p.r, "three", RK_STR("x")); /* nobody asked for it */
    rk_rds_publish(p.r, "one", RK_STR("1"));
    p.stop_messages = 1;
    run(&p);
    assert_string_equal(p.text, "one=1");
    rk_rds_publish(p.r, "two", RK_STR("2"));
    p.stop_messages = 2;
    run(&p);
    assert_string_equal(p.text, "two=2");
    close_probe(&p);
    fixture_stop_redis(&fx);
}

static void a_command_under_way_when_it_dies_is_answered_once(void **state)
{
    struct probe p;

    (void)state;
    assert_true(fixture_start_redis(&fx));
    open_probe(&p, &at);
    p.stop_ups = 1;
    run(&p);
    rk_rds_run(p.r, on_reply, &p, RK_STR("BLPOP"), RK_STR("empty"), RK_STR("0"));
    rk_rds_run(p.r, on_reply, &p, RK_STR("PING"));
    uv_run(rk_loop_uv(p.loop), UV_RUN_NOWAIT);
    fixture_stop_redis(&fx);
    p.stop_replies = 2;
    run(&p);
    assert_int_equal(p.replies, 2);
    assert_int_equal(p.last.code, RK_UNAVAILABLE);
    close_probe(&p);
}

static void a_frozen_server_is_noticed(void **state)
{
    struct probe p;
    pid_t pid;

    (void)state;
    assert_true(fixture_start_redis(&fx));
    open_probe(&p, &at);
    p.stop_ups = 1;
    run(&p);
    pid = fx.redis_pid;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    p.stop_downs = 1;
    /* Three heartbeats of 3 s at most. */
    {
        struct rk_timer limit;

        rk_timer_init(p.loop, &limit, out_of_time);
        rk_timer_start(&limit, 20000, 0);
        rk_loop_run(p.loop);
        rk_timer_close(&limit, NULL);
        uv_run(rk_loop_uv(p.loop), UV_RUN_NOWAIT);
    }
    assert_int_equal(p.downs, 1);
    kill(pid, SIGCONT);
    p.stop_downs = 0;
    p.stop_ups = 2;
    run(&p);
    close_probe(&p);
    fixture_stop_redis(&fx);
}

/* Let in with a password, as the default user and as one of the access list. */
static void is_kept_out(const struct rk_rds_config *config)
{
    struct probe p;

    open_probe(&p, config);
    run_for(&p, 300);
    assert_int_equal(p.ups, 0);
    close_probe(&p);
}

static void who_has_the_password_is_let_in(void **state)
{
    struct rk_rds_config config = { .redis_password = (char *)(uintptr_t) "open sesame" };
    uint16_t port = fixture_port();
    struct probe p;
    char text[256];
    pid_t pid;

    (void)state;
    snprintf(text, sizeof(text),
             "port %u\nbind 127.0.0.1\nsave \"\"\nrequirepass \"open sesame\"\n"
             "user ann on >hers ~* &* +@all\n",
             port);
    pid = fixture_redis_with(&fx, "guarded", NULL, text);
    assert_true(pid > 0);
    snprintf(text, sizeof(text), "localhost:%u", port);
    config.redis = text;
    open_probe(&p, &config);
    p.stop_ups = 1;
    run(&p);
    close_probe(&p);
    config.redis_user = (char *)(uintptr_t) "ann";
    config.redis_password = (char *)(uintptr_t) "hers";
    open_probe(&p, &config);
    p.stop_ups = 1;
    run(&p);
    rk_rds_run(p.r, on_reply, &p, RK_STR("ACL"), RK_STR("WHOAMI"));
    p.stop_replies = 1;
    run(&p);
    assert_string_equal(p.text, "ann");
    close_probe(&p);
    config.redis_password = (char *)(uintptr_t) "not hers";
    is_kept_out(&config);
    kill(pid, SIGKILL);
    (void)fixture_wait_exit(pid);
}

static void write_text(const char *name, const char *text, char out[128])
{
    FILE *f;

    snprintf(out, 128, "%s/%s", fx.dir, name);
    f = fopen(out, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(out, 0644), 0);
}

static void tls_is_spoken_with_a_certificate_of_ones_own(void **state)
{
    char cert[128], key[128], other[128], where[64], text[768];
    struct rk_rds_config config = { .redis = where,
                                    .redis_tls = true,
                                    .redis_ca_file = cert,
                                    .redis_cert_file = cert,
                                    .redis_key_file = key };
    uint16_t port = fixture_port();
    struct pair pair, stranger;
    struct probe p;
    pid_t pid;

    (void)state;
    assert_true(fx.dir[0] || fixture_make_dir(&fx));
    pair_make_for(&pair, "redis", "IP:127.0.0.1");
    pair_make(&stranger, "stranger");
    write_text("cert", pair.cert, cert);
    write_text("key", pair.key, key);
    write_text("other", stranger.cert, other);
    snprintf(text, sizeof(text),
             "port 0\ntls-port %u\nbind 127.0.0.1\nsave \"\"\ntls-cert-file %s\n"
             "tls-key-file %s\ntls-ca-cert-file %s\ntls-auth-clients yes\n",
             port, cert, key, cert);
    pid = fixture_redis_with(&fx, "tls", NULL, text);
    assert_true(pid > 0);
    snprintf(where, sizeof(where), "127.0.0.1:%u", port); /* the certificate names the address */
    open_probe(&p, &config);
    rk_rds_subscribe(p.r, "news");
    p.stop_ups = 1;
    run(&p);
    news_arrive(&p);
    close_probe(&p);
    config.redis_ca_file = other; /* nobody that we believe vouches for it */
    is_kept_out(&config);
    config.redis_ca_file = cert;
    config.redis_cert_file = config.redis_key_file = NULL; /* it wants to see one */
    is_kept_out(&config);
    kill(pid, SIGKILL);
    (void)fixture_wait_exit(pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_and_messages),
        cmocka_unit_test(killed_and_back_it_is_subscribed_again),
        cmocka_unit_test(a_command_under_way_when_it_dies_is_answered_once),
        cmocka_unit_test(a_frozen_server_is_noticed),
        cmocka_unit_test(who_has_the_password_is_let_in),
        cmocka_unit_test(tls_is_spoken_with_a_certificate_of_ones_own),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, fixture_stop);
}
