/* See redirect.h. */

#include "services/dashboard-api/connector/redirect.h"

#include "libcommon/oidc/config.h"
#include "libcommon/obs/log.h"
#include "services/dashboard-api/page/page.h"

#define MAX_URL 4096

const char *redirect_uri(struct call *c, const struct rk_connector *k)
{
    rk_auto(rk_buf_done) struct rk_buf uri = { 0 };

    rk_buf_init(&uri, MAX_URL);
    rk_oidc_embedded_issuer(&c->config->oidc, &uri);
    rk_buf_put_c(&uri, "/callback");
    if (k->own_redirect_uri)
        rk_buf_printf(&uri, "/%s", k->id);
    return rk_arena_strn(c->arena, rk_buf_str(&uri));
}

int upstream_problem(struct call *c,
                     const struct rk_connector *k,
                     const struct rk_err *why,
                     const char *retry)
{
    const struct rk_logctx ctx = { .account = k->account_id, .remote = c->remote_ip };

    rk_warn(&ctx, "identity provider %s: %s", k->id, why->msg);
    return page_error_retry(c, why->code == RK_UNAVAILABLE ? 503 : 400, TEXT_ERROR_UPSTREAM, retry);
}
