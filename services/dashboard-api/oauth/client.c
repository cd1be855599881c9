/* See client.h. */

#include "services/dashboard-api/oauth/client.h"

#include <string.h>

#include "libcommon/oidc/config.h"

#define MAX_URIS 32

struct uris {
    struct rk_str *list;
    size_t n;
};

static void add(struct uris *u, const char *uri)
{
    if (u->n < MAX_URIS)
        u->list[u->n++] = rk_str(uri);
}

static bool absolute(struct rk_str uri)
{
    if (!rk_str_starts(uri, RK_STR("https://")) && !rk_str_starts(uri, RK_STR("http://")))
        return false;
    for (size_t i = 0; i < uri.n; i++)
        if (uri.p[i] <= ' ' || uri.p[i] >= 0x7f || uri.p[i] == '#')
            return false;
    return true;
}

/* A comma list of a setting. */
static int add_setting(
    struct uris *u, const char *key, const char *value, struct rk_arena *arena, struct rk_err *err)
{
    struct rk_str rest = rk_str(value), one;

    while (rk_str_next(&rest, ',', &one)) {
        one = rk_str_trim(one);
        if (one.n == 0)
            continue;
        if (!absolute(one))
            return rk_fail(err, RK_INVALID,
                           "%s: \"%.*s\" is not an address that begins with https:// or http://",
                           key, RK_STR_FMT(one));
        if (u->n == MAX_URIS)
            return rk_fail(err, RK_INVALID, "%s: more than %d addresses", key, MAX_URIS);
        add(u, rk_arena_strn(arena, one));
    }
    return 0;
}

static struct uris uris_new(struct rk_arena *arena)
{
    return (struct uris){ .list = rk_arena_alloc(arena, MAX_URIS * sizeof(struct rk_str)) };
}

/* Each address with and without a slash at its end. */
static struct uris both_spellings(const struct uris *from, struct rk_arena *arena)
{
    struct uris all = { .list = rk_arena_alloc(arena, (2 * from->n + 1) * sizeof(struct rk_str)) };

    for (size_t i = 0; i < from->n; i++) {
        struct rk_str one = from->list[i];

        while (rk_str_ends(one, RK_STR("/")))
            one.n--;
        all.list[all.n++] = rk_str(rk_arena_strn(arena, one));
        all.list[all.n++] = rk_str(rk_arena_printf(arena, "%.*s/", RK_STR_FMT(one)));
    }
    return all;
}

static int init_dashboard(struct client *cl,
                          const struct api_config *config,
                          struct rk_arena *arena,
                          struct rk_err *err)
{
    const char *base = config->oidc.public_url;
    struct uris redirects = uris_new(arena), logouts = uris_new(arena);
    int r;

    r = add_setting(&redirects, "oauth_dashboard_redirect_urls",
                    config->oauth_dashboard_redirect_urls, arena, err);
    if (r < 0)
        return r;
    if (redirects.n == 0) {
        add(&redirects, rk_arena_printf(arena, "%s/nb-auth", base));
        add(&redirects, rk_arena_printf(arena, "%s/nb-silent-auth", base));
    }
    add(&redirects, rk_arena_printf(arena, "%s/api/reverse-proxy/callback", base));
    r = add_setting(&logouts, "oauth_dashboard_logout_urls", config->oauth_dashboard_logout_urls,
                    arena, err);
    if (r < 0)
        return r;
    add(&logouts, base);
    logouts = both_spellings(&logouts, arena);
    *cl = (struct client){ .id = RK_OIDC_CLIENT_DASHBOARD,
                           .name = "NetBird Dashboard",
                           .redirects = redirects.list,
                           .redirects_n = redirects.n,
                           .logouts = logouts.list,
                           .logouts_n = logouts.n,
                           .token_s = config->oauth_dashboard_token_s };
    return 0;
}

static int init_cli(struct client *cl,
                    const struct api_config *config,
                    struct rk_arena *arena,
                    struct rk_err *err)
{
    struct uris redirects = uris_new(arena);
    int r;

    r = add_setting(&redirects, "oidc_pkce_redirect_urls", config->oidc.oidc_pkce_redirect_urls,
                    arena, err);
    if (r < 0)
        return r;
    *cl = (struct client){ .id = RK_OIDC_CLIENT_CLI,
                           .name = "NetBird CLI",
                           .redirects = redirects.list,
                           .redirects_n = redirects.n,
                           .token_s = config->oauth_cli_token_s,
                           .any_port = true,
                           .may_be_device = true };
    return 0;
}

int clients_init(struct clients *out,
                 const struct api_config *config,
                 struct rk_arena *arena,
                 struct rk_err *err)
{
    int r = init_dashboard(&out->list[0], config, arena, err);

    if (r < 0)
        return r;
    return init_cli(&out->list[1], config, arena, err);
}

const struct client *client_find(const struct clients *all, const char *id)
{
    for (size_t i = 0; id && i < CLIENTS_N; i++)
        if (strcmp(all->list[i].id, id) == 0)
            return &all->list[i];
    return NULL;
}

/* Cuts "http://127.0.0.1:PORT" into what stands before and after the port. False: another host. */
static bool cut_loopback(struct rk_str uri, struct rk_str *out_host, struct rk_str *out_path)
{
    static const struct rk_str hosts[] = { RK_STR("http://127.0.0.1"), RK_STR("http://[::1]") };

    for (size_t i = 0; i < RK_COUNT(hosts); i++) {
        struct rk_str rest = uri, port;
        uint64_t n;
        size_t end = 0;

        if (!rk_str_starts(uri, hosts[i]))
            continue;
        rest = rk_strn(uri.p + hosts[i].n, uri.n - hosts[i].n);
        while (end < rest.n && rest.p[end] != '/')
            end++;
        port = rk_strn(rest.p, end);
        if (port.n > 0 && (port.p[0] != ':' || port.n > 6 ||
                           !rk_str_u64(rk_strn(port.p + 1, port.n - 1), &n) || n > 65535))
            return false;
        *out_host = hosts[i];
        *out_path = rk_strn(rest.p + end, rest.n - end);
        return true;
    }
    return false;
}

bool client_redirect_allowed(const struct client *cl, const char *uri)
{
    struct rk_str host, path, want_host, want_path;

    for (size_t i = 0; i < cl->redirects_n; i++)
        if (rk_str_eq(cl->redirects[i], rk_str(uri)))
            return true;
    if (!cl->any_port || !cut_loopback(rk_str(uri), &host, &path))
        return false;
    for (size_t i = 0; i < cl->redirects_n; i++)
        if (cut_loopback(cl->redirects[i], &want_host, &want_path) && rk_str_eq(host, want_host) &&
            rk_str_eq(path, want_path))
            return true;
    return false;
}

bool client_logout_allowed(const struct client *cl, const char *uri)
{
    for (size_t i = 0; i < cl->logouts_n; i++)
        if (rk_str_eq(cl->logouts[i], rk_str(uri)))
            return true;
    return false;
}
