/* What the settings about Redis may be, and what a mistake is answered with. */

#include "tests/support/test.h"

#include "libcommon/rds/config.h"

struct config {
    struct rk_common_config common;
    struct rk_rds_config redis;
};

static int check(const void *config, struct rk_err *err)
{
    return rk_rds_config_check(&((const struct config *)config)->redis, err);
}

static const struct rk_setting rows[] = { RK_RDS_SETTINGS(struct config, redis) };
static const struct rk_settings_table table = {
    .service = "test", .summary = "test", .rows = rows, .count = RK_COUNT(rows), .check = check
};

static int parse(const char *text, struct rk_err *err)
{
    struct config c = { .redis = { .redis = NULL } };
    int r = rk_settings_parse(&table, &c, "file", rk_str(text), err);

    rk_settings_done(&table, &c);
    return r;
}

static void good_settings_are_taken(void **state)
{
    static const char *const good[] = {
        "",
        "redis = unix:/run/redis.sock",
        "redis = 127.0.0.1:6379",
        "redis = [::1]:6379",
        "redis = redis.example.com:6379\nredis_password = x",
        "redis = redis:6379\nredis_user = ann\nredis_password = x",
        "redis = redis:6379\nredis_tls = true",
        "redis_sentinels = a:26379, b:26379,[::1]:26379",
        "redis_cluster = a:6379, b:6379,[::1]:6379\nredis_user = ann\nredis_password = x",
        "redis_sentinels = a:1\nredis_master = m\nredis_tls = true\nredis_sentinel_password = y",
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(good); i++) {
        struct rk_err err = { 0 };

        if (parse(good[i], &err) < 0)
            fail_msg("%s: %s", good[i], err.msg);
    }
}

static void a_mistake_is_named(void **state)
{
    static const struct {
        const char *text, *named;
    } bad[] = {
        { "redis = nonsense", "redis = " },
        { "redis = unix:", "redis = " },
        { "redis = host:", "redis = " },
        { "redis = :6379", "redis = " },
        { "redis = 127.0.0.1:0", "redis = " },
        { "redis = 127.0.0.1:70000", "redis = " },
        { "redis = ::1:6379", "redis = " },
        { "redis = two words:6379", "redis = " },
        { "redis_tls = true", "redis_tls" },
        { "redis = r:1\nredis_user = ann", "redis_user" },
        { "redis = r:1\nredis_ca_file = x", "redis_tls" },
        { "redis = r:1\nredis_tls = true\nredis_cert_file = x", "redis_key_file" },
        { "redis = r:1\nredis_tls = true\nredis_ca_file = /nowhere", "/nowhere" },
        { "redis_sentinels = a:1,,b:1", "redis_sentinels" },
        { "redis_sentinels = a:1,unix:/x", "redis_sentinels" },
        { "redis_sentinels = a:1\nredis_master =", "redis_master" },
        { "redis_cluster = a:1,b", "redis_cluster: \"b\"" },
        { "redis_cluster = a:1\nredis_sentinels = a:1", "redis_sentinels and redis_cluster" },
        { "redis_sentinels = a:1\nredis_sentinel_user = x", "redis_sentinel_user" },
        { "redis_password_file = /nowhere", "redis_password_file" },
    };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        struct rk_err err = { 0 };

        if (parse(bad[i].text, &err) != RK_INVALID || !strstr(err.msg, bad[i].named))
            fail_msg("%s: \"%s\" does not name %s", bad[i].text, err.msg, bad[i].named);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_settings_are_taken),
        cmocka_unit_test(a_mistake_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
