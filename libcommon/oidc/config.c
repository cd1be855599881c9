#include "libcommon/oidc/config.h"

/* What the settings of sign-in mean, and what is wrong with them. */

#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/conf/addr.h"

#define MAX_LIST 16                  /* in one setting */
#define MAX_AUDIENCES (MAX_LIST + 5) /* with those of other settings; one to see too many */

static bool set(const char *s)
{
    return s && s[0] != '\0';
}

static const char *first_of(const char *a, const char *b)
{
    return set(a) ? a : b ? b : "";
}

enum rk_oidc_mode rk_oidc_mode(const struct rk_oidc_config *c)
{
    if (c->oidc_embedded)
        return RK_OIDC_EMBEDDED;
    return set(c->oidc_issuer) || set(c->oidc_discovery_url) ? RK_OIDC_EXTERNAL : RK_OIDC_OFF;
}

struct rk_fetch_rules rk_oidc_fetch_rules(const struct rk_oidc_config *c)
{
    return (struct rk_fetch_rules){ .allow_private = c->oidc_allow_private_issuers,
                                    .ca_file = c->oidc_ca_file };
}

/* --- checks --- */

static bool loopback_url(const char *url)
{
    const struct rk_fetch_rules rules = { .allow_private = true };

    return rk_fetch_check_url(&rules, url, NULL) == 0;
}

/* The URL under which people see us: https, or http on loopback for a trial. */
static int check_public_url(const struct rk_oidc_config *c, struct rk_err *err)
{
    struct rk_str scheme, host;
    uint16_t port;

    if (!set(c->public_url))
        return 0;
    if (!loopback_url(c->public_url) ||
        rk_url_parse(rk_str(c->public_url), &scheme, &host, &port, NULL) < 0)
        return rk_fail(err, RK_INVALID,
                       "public_url = '%s': write https://host or https://host:port, with nothing "
                       "behind it (http:// only on localhost)",
                       c->public_url);
    if (strchr(c->public_url + scheme.n + 3, '/') || strchr(c->public_url, '?'))
        return rk_fail(err, RK_INVALID,
                       "public_url = '%s': leave out the path, also a single slash at the end",
                       c->public_url);
    return 0;
}

static int check_urls(const struct rk_oidc_config *c, struct rk_err *err)
{
    const struct {
        const char *key, *value;
    } urls[] = {
        { "oidc_discovery_url", c->oidc_discovery_url },
        { "oidc_keys_url", c->oidc_keys_url },
        { "oidc_device_endpoint", c->oidc_device_endpoint },
        { "oidc_device_token_endpoint", c->oidc_device_token_endpoint },
        { "oidc_pkce_authorization_endpoint", c->oidc_pkce_authorization_endpoint },
        { "oidc_pkce_token_endpoint", c->oidc_pkce_token_endpoint },
    };
    struct rk_fetch_rules rules = rk_oidc_fetch_rules(c);
    struct rk_err why = { 0 };

    for (size_t i = 0; i < RK_COUNT(urls); i++)
        if (set(urls[i].value) && rk_fetch_check_url(&rules, urls[i].value, &why) < 0)
            return rk_fail(err, RK_INVALID,
                           "%s = '%.200s': %s; write an https:// URL, or set "
                           "oidc_allow_private_issuers = true for http:// on loopback",
                           urls[i].key, urls[i].value, why.msg);
    if (set(c->oidc_discovery_url) &&
        !rk_str_ends(rk_str(c->oidc_discovery_url), RK_STR(RK_DISCOVERY_PATH)))
        return rk_fail(err, RK_INVALID,
                       "oidc_discovery_url = '%.200s': write the whole URL, which ends "
                       "with " RK_DISCOVERY_PATH,
                       c->oidc_discovery_url);
    return 0;
}

static size_t list_read(const char *list, struct rk_str out[MAX_LIST + 1])
{
    struct rk_str rest = rk_str(list), part;
    size_t n = 0;

    while (n <= MAX_LIST && rk_str_next(&rest, ',', &part)) {
        part = rk_str_trim(part);
        if (part.n > 0)
            out[n++] = part;
    }
    return n;
}

static int check_lists(const struct rk_oidc_config *c, struct rk_err *err)
{
    const struct {
        const char *key, *value;
    } lists[] = {
        { "oidc_extra_audiences", c->oidc_extra_audiences },
        { "oidc_pkce_redirect_urls", c->oidc_pkce_redirect_urls },
    };
    struct rk_str items[MAX_LIST + 1];

    for (size_t i = 0; i < RK_COUNT(lists); i++)
        if (list_read(lists[i].value, items) > MAX_LIST)
            return rk_fail(err, RK_INVALID, "%s: write at most %d", lists[i].key, MAX_LIST);
    return 0;
}

static int check_embedded(const struct rk_oidc_config *c, struct rk_err *err)
{
    if (!set(c->public_url))
        return rk_fail(err, RK_INVALID,
                       "oidc_embedded = true needs public_url: write https:// and the name under "
                       "which browsers reach this deployment");
    if (set(c->oidc_discovery_url) || set(c->oidc_keys_url))
        return rk_fail(err, RK_INVALID,
                       "oidc_embedded = true: remove %s, or set oidc_embedded = false to use "
                       "that provider",
                       set(c->oidc_discovery_url) ? "oidc_discovery_url" : "oidc_keys_url");
    if (set(c->oidc_issuer) &&
        (!loopback_url(c->oidc_issuer) || !rk_str_ends(rk_str(c->oidc_issuer), RK_STR("/oauth2"))))
        return rk_fail(err, RK_INVALID,
                       "oidc_issuer = '%.200s': write an https:// URL that ends with /oauth2, or "
                       "leave it out to use public_url with /oauth2",
                       c->oidc_issuer);
    return 0;
}

static int check_external(const struct rk_oidc_config *c, struct rk_err *err)
{
    struct rk_fetch_rules rules = rk_oidc_fetch_rules(c);

    if (!set(c->oidc_audience))
        return rk_fail(err, RK_INVALID,
                       "sign-in needs oidc_audience: write the aud claim of the provider's tokens, "
                       "often the client id");
    if (!set(c->oidc_discovery_url) && !set(c->oidc_keys_url) &&
        rk_fetch_check_url(&rules, c->oidc_issuer, NULL) < 0)
        return rk_fail(err, RK_INVALID,
                       "oidc_issuer = '%.200s' is not an https:// URL, so say where the keys are: "
                       "set oidc_discovery_url or oidc_keys_url",
                       c->oidc_issuer);
    if (!set(c->oidc_issuer) && !set(c->oidc_discovery_url))
        return rk_fail(err, RK_INVALID, "set oidc_issuer to the iss claim of the tokens");
    return 0;
}

static int check_off(const struct rk_oidc_config *c, struct rk_err *err)
{
    const struct {
        const char *key, *value;
    } rows[] = {
        { "oidc_keys_url", c->oidc_keys_url },
        { "oidc_audience", c->oidc_audience },
        { "oidc_device_client_id", c->oidc_device_client_id },
        { "oidc_pkce_client_id", c->oidc_pkce_client_id },
    };

    for (size_t i = 0; i < RK_COUNT(rows); i++)
        if (set(rows[i].value))
            return rk_fail(err, RK_INVALID,
                           "%s is set but no provider is: set oidc_discovery_url or oidc_issuer, "
                           "or oidc_embedded = true",
                           rows[i].key);
    return 0;
}

int rk_oidc_config_check(const struct rk_oidc_config *c, struct rk_err *err)
{
    int r = check_public_url(c, err);

    if (r == 0)
        r = check_urls(c, err);
    if (r == 0)
        r = check_lists(c, err);
    if (r < 0)
        return r;
    switch (rk_oidc_mode(c)) {
    case RK_OIDC_OFF:
        return check_off(c, err);
    case RK_OIDC_EXTERNAL:
        return check_external(c, err);
    case RK_OIDC_EMBEDDED:
        return check_embedded(c, err);
    }
    return 0;
}

/* --- what follows from them --- */

void rk_oidc_embedded_issuer(const struct rk_oidc_config *c, struct rk_buf *out)
{
    if (!c->oidc_embedded)
        return;
    if (set(c->oidc_issuer))
        rk_buf_put_c(out, c->oidc_issuer);
    else
        rk_buf_printf(out, "%s/oauth2", c->public_url);
}

static size_t audiences(const struct rk_oidc_config *c, struct rk_str out[MAX_AUDIENCES])
{
    const char *more[] = { c->oidc_cli_audience, c->oidc_device_audience, c->oidc_pkce_audience };
    size_t n = 0;

    if (c->oidc_embedded) {
        out[n++] = RK_STR(RK_OIDC_CLIENT_DASHBOARD);
        out[n++] = RK_STR(RK_OIDC_CLIENT_CLI);
        return n;
    }
    out[n++] = rk_str(c->oidc_audience);
    for (size_t i = 0; i < RK_COUNT(more); i++)
        if (set(more[i]))
            out[n++] = rk_str(more[i]);
    return n + list_read(c->oidc_extra_audiences, out + n);
}

struct rk_verifier *rk_oidc_verifier_new(const struct rk_oidc_config *c)
{
    struct rk_str accepted[MAX_AUDIENCES];
    rk_auto(rk_buf_done) struct rk_buf issuer;
    struct rk_verifier_options o = {
        .issuer = c->oidc_issuer,
        .discovery_url = c->oidc_discovery_url,
        .keys_url = c->oidc_keys_url,
        .audiences = accepted,
        .user_claim = c->oidc_embedded ? "sub" : c->oidc_user_claim,
        .ca_file = c->oidc_ca_file,
        .embedded = c->oidc_embedded,
        .allow_private = c->oidc_allow_private_issuers,
        .account_claims = c->oidc_account_claims && !c->oidc_embedded,
    };

    rk_buf_init(&issuer, 4096);
    if (rk_oidc_mode(c) == RK_OIDC_OFF)
        return NULL;
    o.audiences_n = audiences(c, accepted);
    if (c->oidc_embedded) {
        rk_oidc_embedded_issuer(c, &issuer);
        rk_buf_put_u8(&issuer, 0);
        o.issuer = (const char *)issuer.p;
    }
    return rk_verifier_new(&o);
}

/* --- what agents are told --- */

#define NO_DEVICE_FLOW "no device authorization flow information available"
#define NO_PKCE_FLOW "no pkce authorization flow information available"

static struct rk_str *
redirects(const struct rk_oidc_config *c, struct rk_arena *arena, size_t *out_n)
{
    struct rk_str *out = rk_arena_alloc(arena, (MAX_LIST + 1) * sizeof(*out));

    *out_n = list_read(c->oidc_pkce_redirect_urls, out);
    return out;
}

/* The provider, as far as a flow needs one: all its endpoints may be configured. */
static int
provider_for(struct rk_verifier *v, bool needed, struct rk_provider **out, struct rk_err *err)
{
    *out = v ? rk_verifier_provider(v) : NULL;
    if (!*out && needed)
        return rk_fail(err, RK_UNAVAILABLE, "the identity provider has not answered yet");
    return 0;
}

static const char *
discovered(const struct rk_provider *p, const char *configured, const char *found)
{
    return set(configured) || !p ? first_of(configured, "") : first_of(found, "");
}

/* Strings that belong to the provider go into the arena: it may be replaced meanwhile. */
static void own(struct rk_oidc_flow *f, struct rk_arena *arena)
{
    f->device_authorization_endpoint =
        rk_arena_strdup(arena, first_of(f->device_authorization_endpoint, ""));
    f->token_endpoint = rk_arena_strdup(arena, first_of(f->token_endpoint, ""));
    f->authorization_endpoint = rk_arena_strdup(arena, first_of(f->authorization_endpoint, ""));
}

int rk_oidc_device_flow(const struct rk_oidc_config *c,
                        struct rk_verifier *v,
                        struct rk_arena *arena,
                        struct rk_oidc_flow *out,
                        struct rk_err *err)
{
    rk_auto(rk_provider_unref) struct rk_provider *p = NULL;
    bool embedded = c->oidc_embedded;
    struct rk_oidc_flow f = { .use_id_token = !embedded && c->oidc_device_use_id_token };
    char host[RK_FETCH_HOST_LEN];
    int r;

    if (rk_oidc_mode(c) == RK_OIDC_OFF || (!embedded && !set(c->oidc_device_client_id)))
        return rk_fail(err, RK_NOT_FOUND, NO_DEVICE_FLOW);
    r = provider_for(v, !set(c->oidc_device_endpoint) || !set(c->oidc_device_token_endpoint), &p,
                     err);
    if (r < 0)
        return r;
    f.client_id = embedded ? RK_OIDC_CLIENT_CLI : c->oidc_device_client_id;
    f.audience =
        embedded ? RK_OIDC_CLIENT_CLI : first_of(c->oidc_device_audience, c->oidc_audience);
    f.scope = embedded ? RK_OIDC_EMBEDDED_SCOPE : first_of(c->oidc_device_scope, "openid");
    f.device_authorization_endpoint = discovered(p, embedded ? "" : c->oidc_device_endpoint,
                                                 p ? p->device_authorization_endpoint : "");
    f.token_endpoint =
        discovered(p, embedded ? "" : c->oidc_device_token_endpoint, p ? p->token_endpoint : "");
    if (!set(f.device_authorization_endpoint) || !set(f.token_endpoint))
        return rk_fail(err, RK_NOT_FOUND, NO_DEVICE_FLOW);
    own(&f, arena);
    rk_fetch_host(f.device_authorization_endpoint, host);
    f.domain = rk_arena_strdup(arena, host);
    *out = f;
    return 0;
}

int rk_oidc_pkce_flow(const struct rk_oidc_config *c,
                      struct rk_verifier *v,
                      struct rk_arena *arena,
                      struct rk_oidc_flow *out,
                      struct rk_err *err)
{
    rk_auto(rk_provider_unref) struct rk_provider *p = NULL;
    bool embedded = c->oidc_embedded;
    struct rk_oidc_flow f = {
        .use_id_token = !embedded && c->oidc_pkce_use_id_token,
        .disable_prompt_login = !embedded && c->oidc_pkce_disable_prompt_login,
        .login_flag = embedded ? 0 : (int)c->oidc_pkce_login_flag,
    };
    int r;

    if (rk_oidc_mode(c) == RK_OIDC_OFF || (!embedded && !set(c->oidc_pkce_client_id)))
        return rk_fail(err, RK_NOT_FOUND, NO_PKCE_FLOW);
    r = provider_for(
        v, !set(c->oidc_pkce_authorization_endpoint) || !set(c->oidc_pkce_token_endpoint), &p, err);
    if (r < 0)
        return r;
    f.client_id = embedded ? RK_OIDC_CLIENT_CLI : c->oidc_pkce_client_id;
    f.audience = embedded ? RK_OIDC_CLIENT_CLI : first_of(c->oidc_pkce_audience, c->oidc_audience);
    f.scope = embedded ? RK_OIDC_EMBEDDED_SCOPE : first_of(c->oidc_pkce_scope, "openid");
    f.authorization_endpoint = discovered(p, embedded ? "" : c->oidc_pkce_authorization_endpoint,
                                          p ? p->authorization_endpoint : "");
    f.token_endpoint =
        discovered(p, embedded ? "" : c->oidc_pkce_token_endpoint, p ? p->token_endpoint : "");
    f.redirect_urls = redirects(c, arena, &f.redirect_urls_n);
    if (!set(f.authorization_endpoint) || !set(f.token_endpoint) || f.redirect_urls_n == 0)
        return rk_fail(err, RK_NOT_FOUND, NO_PKCE_FLOW);
    own(&f, arena);
    *out = f;
    return 0;
}

int rk_oidc_ssh(const struct rk_oidc_config *c,
                struct rk_verifier *v,
                struct rk_arena *arena,
                struct rk_oidc_ssh *out,
                struct rk_err *err)
{
    rk_auto(rk_provider_unref) struct rk_provider *p = NULL;
    const char *primary = c->oidc_embedded ? RK_OIDC_CLIENT_DASHBOARD : c->oidc_audience;
    const char *cli = c->oidc_embedded ? RK_OIDC_CLIENT_CLI : c->oidc_cli_audience;
    struct rk_oidc_ssh s = { 0 };
    int r;

    if (rk_oidc_mode(c) == RK_OIDC_OFF)
        return rk_fail(err, RK_NOT_FOUND, "sign-in is not configured");
    r = provider_for(v, true, &p, err);
    if (r < 0)
        return r;
    s.issuer = rk_arena_strdup(arena, p->issuer);
    s.keys_location = rk_arena_strdup(arena, p->keys_url);
    s.audience = rk_arena_strdup(arena, first_of(cli, primary));
    s.user_claim = c->oidc_embedded ? "sub" : c->oidc_user_claim;
    if (set(primary))
        s.audiences[s.audiences_n++] = rk_str(rk_arena_strdup(arena, primary));
    if (set(cli) && strcmp(cli, primary) != 0)
        s.audiences[s.audiences_n++] = rk_str(rk_arena_strdup(arena, cli));
    *out = s;
    return 0;
}
