#include "libcommon/rds/config.h"

/* What can be judged of the settings before anybody is dialled. */

#include "libcommon/rds/wire.h"

static bool is_set(const char *s)
{
    return s && *s;
}

bool rk_rds_config_clustered(const struct rk_rds_config *c)
{
    return is_set(c->redis_cluster);
}

const char *rk_rds_config_place(const struct rk_rds_config *c)
{
    return is_set(c->redis_cluster)     ? "redis_cluster"
           : is_set(c->redis_sentinels) ? "redis_sentinels"
                                        : "redis";
}

const char *rk_rds_config_guides(const struct rk_rds_config *c)
{
    if (is_set(c->redis_cluster))
        return c->redis_cluster;
    return is_set(c->redis_sentinels) ? c->redis_sentinels : NULL;
}

static int check_guides(const struct rk_rds_config *c, struct rk_err *err)
{
    struct rk_str rest = rk_str(rk_rds_config_guides(c)), one;

    while (rk_str_next(&rest, ',', &one)) {
        one = rk_str_trim(one);
        if (!wire_address_ok(one) || rk_str_starts(one, RK_STR("unix:")))
            return rk_fail(err, RK_INVALID, "%s: \"%.*s\" is not host:port", rk_rds_config_place(c),
                           one.n > 64 ? 64 : (int)one.n, one.p);
    }
    return 0;
}

int rk_rds_config_check(const struct rk_rds_config *c, struct rk_err *err)
{
    struct rk_str at = rk_str(c->redis);
    int r;

    if (is_set(c->redis_sentinels) && is_set(c->redis_cluster))
        return rk_fail(err, RK_INVALID,
                       "redis_sentinels and redis_cluster exclude each other: keep one");
    if (is_set(c->redis_sentinels) && !is_set(c->redis_master))
        return rk_fail(err, RK_INVALID, "redis_sentinels needs redis_master");
    if (rk_rds_config_guides(c)) {
        r = check_guides(c, err);
        if (r < 0)
            return r;
    } else if (!wire_address_ok(at)) {
        return rk_fail(err, RK_INVALID, "redis = \"%.*s\": write unix:/path or host:port",
                       at.n > 64 ? 64 : (int)at.n, at.n ? at.p : "");
    } else if (c->redis_tls && rk_str_starts(at, RK_STR("unix:"))) {
        return rk_fail(err, RK_INVALID, "redis_tls needs host:port in redis, not unix:/path");
    }
    if (is_set(c->redis_user) && !is_set(c->redis_password))
        return rk_fail(err, RK_INVALID, "redis_user needs redis_password or redis_password_file");
    if (is_set(c->redis_sentinel_user) && !is_set(c->redis_sentinel_password))
        return rk_fail(err, RK_INVALID,
                       "redis_sentinel_user needs redis_sentinel_password or "
                       "redis_sentinel_password_file");
    if (is_set(c->redis_cert_file) != is_set(c->redis_key_file))
        return rk_fail(err, RK_INVALID, "redis_cert_file and redis_key_file go together");
    if (!c->redis_tls && (is_set(c->redis_ca_file) || is_set(c->redis_cert_file)))
        return rk_fail(err, RK_INVALID,
                       "redis_ca_file and redis_cert_file are for redis_tls = true");
    return c->redis_tls ? wire_door_check(&(struct wire_door){ .tls = true,
                                                               .ca_file = c->redis_ca_file,
                                                               .cert_file = c->redis_cert_file,
                                                               .key_file = c->redis_key_file },
                                          err)
                        : 0;
}
