/* NetbirdConfig fields: 1 stuns, 3 signal, 4 relay, 6 metrics. */

#include "services/management/fanout/netbird_config.h"

#include "libcommon/account/compile/wire.h"
#include "libcommon/base/clock.h"
#include "libcommon/conf/addr.h"
#include "services/management/app.h"

#define PROTOCOL_UDP 0
#define PROTOCOL_HTTP 2
#define PROTOCOL_HTTPS 3

static void host(struct rk_buf *out, unsigned field, struct rk_str uri, unsigned protocol)
{
    size_t at = rk_wire_begin(out, field);

    rk_wire_str(out, 1, uri);
    rk_wire_uint(out, 2, protocol);
    rk_wire_end(out, at);
}

static void relay(const struct app *app, struct rk_buf *out)
{
    struct rk_str rest = rk_str(app->cfg->relay_urls ? app->cfg->relay_urls : ""), part;
    char payload[24], signature[45];
    size_t at;

    if (!app->have_relay)
        return;
    rk_relay_token_issue(&app->relay_key, rk_wall_s() + app->cfg->relay_token_ttl_s, payload,
                         signature);
    at = rk_wire_begin(out, 4);
    while (rest.n > 0 && rk_str_next(&rest, ',', &part))
        rk_wire_bytes_always(out, 1, rk_str_trim(part));
    rk_wire_str(out, 2, rk_str(payload));
    rk_wire_str(out, 3, rk_str(signature));
    rk_wire_end(out, at);
}

void netbird_config_full(const struct app *app, bool metrics_enabled, struct rk_buf *out)
{
    struct rk_str rest = rk_str(app->cfg->stun_urls ? app->cfg->stun_urls : ""), part;
    struct rk_str url = rk_str(app->cfg->signal_url);
    size_t at;

    while (rest.n > 0 && rk_str_next(&rest, ',', &part))
        host(out, 1, rk_str_trim(part), PROTOCOL_UDP);
    if (rk_str_starts(url, RK_STR("https://")))
        host(out, 3, rk_strn(url.p + 8, url.n - 8), PROTOCOL_HTTPS);
    else
        host(out, 3, rk_strn(url.p + 7, url.n - 7), PROTOCOL_HTTP);
    relay(app, out);
    at = rk_wire_begin(out, 6);
    rk_wire_bool(out, 1, metrics_enabled);
    rk_wire_end(out, at);
}

void netbird_config_relay(const struct app *app, struct rk_buf *out)
{
    relay(app, out);
}
