/* NetbirdConfig fields: 1 stuns, 3 signal, 4 relay, 6 metrics. */

#include "services/management/fanout/netbird_config.h"

#include "libcommon/account/compile/wire.h"
#include "libcommon/base/clock.h"
#include "libcommon/conf/addr.h"
#include "services/management/app.h"
#include "services/management/edges/edges.h"

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

typedef void url_fn(struct rk_str url, void *arg);

/* Those that were chosen, and those of the configured list that never registered. */
static void each_url(const struct app *app,
                     enum rk_edge_kind kind,
                     const struct config_reader *to,
                     url_fn *fn,
                     void *arg)
{
    const char *list = kind == RK_EDGE_RELAY ? app->cfg->relay_urls : app->cfg->stun_urls;
    struct rk_str rest = rk_str(list ? list : ""), part;
    const struct edge *chosen[CHOICE_MAX];
    size_t n = edges_choose(app->edges, kind, to->place, to->who, chosen);

    for (size_t i = 0; i < n; i++)
        fn(rk_str(chosen[i]->url), arg);
    while (rest.n > 0 && rk_str_next(&rest, ',', &part)) {
        part = rk_str_trim(part);
        if (!edges_knows(app->edges, part))
            fn(part, arg);
    }
}

/* What is written, and what of it makes one agent's lists differ from another's. */
struct telling {
    struct rk_buf *out;
    uint64_t lists;
};

#define LISTS_EMPTY 0xcbf29ce484222325u

/* FNV-1a, with what no URL holds between them. */
static void mix(struct rk_str url, void *arg)
{
    uint64_t *h = arg;

    for (size_t i = 0; i <= url.n; i++)
        *h = (*h ^ (i < url.n ? (uint8_t)url.p[i] : 0xff)) * 0x100000001b3u;
}

static void put_stun(struct rk_str url, void *arg)
{
    struct telling *t = arg;

    mix(url, &t->lists);
    host(t->out, 1, url, PROTOCOL_UDP);
}

static void put_relay(struct rk_str url, void *arg)
{
    struct telling *t = arg;

    mix(url, &t->lists);
    rk_wire_bytes_always(t->out, 1, url);
}

uint64_t
netbird_config_edges(const struct app *app, const struct config_reader *to, struct rk_buf *out)
{
    struct telling t = { .out = out, .lists = LISTS_EMPTY };
    char payload[24], signature[45];
    size_t at;

    each_url(app, RK_EDGE_STUN, to, put_stun, &t);
    if (!app->have_relay)
        return t.lists;
    rk_relay_token_issue(&app->relay_key, rk_wall_s() + app->cfg->relay_token_ttl_s, payload,
                         signature);
    at = rk_wire_begin(out, 4);
    each_url(app, RK_EDGE_RELAY, to, put_relay, &t);
    rk_wire_str(out, 2, rk_str(payload));
    rk_wire_str(out, 3, rk_str(signature));
    rk_wire_end(out, at);
    return t.lists;
}

uint64_t netbird_config_lists(const struct app *app, const struct config_reader *to)
{
    uint64_t h = LISTS_EMPTY;

    each_url(app, RK_EDGE_STUN, to, mix, &h);
    if (app->have_relay)
        each_url(app, RK_EDGE_RELAY, to, mix, &h);
    return h;
}

uint64_t netbird_config_full(const struct app *app,
                             const struct config_reader *to,
                             bool metrics_enabled,
                             struct rk_buf *out)
{
    struct rk_str url = rk_str(app->cfg->signal_url);
    uint64_t lists;
    size_t at;

    if (rk_str_starts(url, RK_STR("https://")))
        host(out, 3, rk_strn(url.p + 8, url.n - 8), PROTOCOL_HTTPS);
    else
        host(out, 3, rk_strn(url.p + 7, url.n - 7), PROTOCOL_HTTP);
    lists = netbird_config_edges(app, to, out);
    at = rk_wire_begin(out, 6);
    rk_wire_bool(out, 1, metrics_enabled);
    rk_wire_end(out, at);
    return lists;
}
