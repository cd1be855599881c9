#include "libcommon/edge/config.h"

/* What can be judged of the settings before anybody is dialled. */

#include "libcommon/conf/addr.h"
#include "libcommon/crypto/token.h"

int rk_edge_config_check(const struct rk_edge_config *c,
                         const char *url,
                         enum rk_edge_kind kind,
                         const char *relay_secret,
                         struct rk_err *err)
{
    struct rk_str scheme, host;
    struct rk_position at;
    enum rk_edge_kind is;
    uint16_t port;
    int r;

    r = rk_relay_secret_check(rk_str(relay_secret), err);
    if (r == 0)
        r = rk_edge_region_check(rk_str(c->region), err);
    if (r == 0)
        r = rk_position_parse(rk_str(c->region_at), &at, err);
    if (r < 0 || !c->management_url || !*c->management_url)
        return r;
    r = rk_url_parse(rk_str(c->management_url), &scheme, &host, &port, err);
    if (r < 0)
        return r;
    if (!rk_str_eq(scheme, RK_STR("http")) && !rk_str_eq(scheme, RK_STR("https")))
        return rk_fail(err, RK_INVALID, "management_url must begin with http:// or https://");
    if (!relay_secret || !*relay_secret)
        return rk_fail(err, RK_INVALID,
                       "management_url is set but neither relay_secret nor relay_secret_file is");
    if (rk_edge_url_check(rk_str(url), &is, err) < 0 || is != kind)
        return rk_fail(err, RK_INVALID, "exposed_url must be %s, with management_url",
                       kind == RK_EDGE_STUN ? "stun:host:port"
                                            : "rel://host:port or rels://host:port");
    return 0;
}
