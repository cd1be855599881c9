/* See provider.h. */

#include "services/management/provider/provider.h"

#include "libcommon/account/compile/compile.h"
#include "libcommon/account/compile/wire.h"
#include "libcommon/base/clock.h"
#include "libcommon/obs/log.h"
#include "libcommon/oidc/config.h"
#include "libcommon/oidc/keeper.h"
#include "services/management/app.h"
#include "services/management/fanout/session.h"
#include "services/management/hub/hub.h"

#define SSH_MAX ((size_t)64 << 10)

void provider_open(struct app *app)
{
    const struct config *c = app->cfg;

    app->sign_in = (struct rk_sign_in_rules){
        .embedded = rk_oidc_mode(&c->oidc) == RK_OIDC_EMBEDDED,
        .single_account_domain =
            c->oidc.oidc_single_account ? c->oidc.oidc_single_account_domain : "",
        .default_domain = c->dns_domain,
    };
    app->verifier = rk_oidc_verifier_new(&c->oidc);
}

void provider_start(struct app *app)
{
    if (app->verifier)
        app->keeper = rk_keeper_new(app->loop, app->verifier, app->cfg->postgres);
}

/* The body of SSHConfig.JWTConfig; agents' own maximum age of a token stands. */
static void put_ssh(const struct rk_oidc_ssh *ssh, struct rk_buf *b)
{
    rk_wire_str(b, 1, rk_str(ssh->issuer));
    rk_wire_str(b, 2, rk_str(ssh->audience));
    rk_wire_str(b, 3, rk_str(ssh->keys_location));
    for (size_t i = 0; i < ssh->audiences_n; i++)
        rk_wire_str(b, 5, ssh->audiences[i]);
}

static void owe_everybody(struct app *app)
{
    void *value;
    size_t it = 0;

    while (rk_map_each(app->hubs, &it, &value)) {
        struct hub *h = value;
        struct rk_list *n, *tmp;

        rk_list_each(&h->sessions, n, tmp)
            hub_mark(h, rk_list_entry(n, struct session, by_hub), RK_TIME_UNSET);
    }
}

void provider_tick(struct app *app)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = NULL;
    rk_auto(rk_buf_done) struct rk_buf body = { 0 };
    char trouble[RK_VERIFIER_TROUBLE_LEN];
    struct rk_oidc_ssh ssh;
    struct rk_err err = { 0 };

    if (!app->verifier)
        return;
    rk_verifier_trouble(app->verifier, trouble);
    rk_admin_note(app->admin, "sign_in", trouble);
    arena = rk_arena_new(SSH_MAX);
    rk_buf_init(&body, SSH_MAX);
    if (rk_oidc_ssh(&app->cfg->oidc, app->verifier, arena, &ssh, &err) < 0)
        return; /* not known yet; what was told before stands */
    put_ssh(&ssh, &body);
    if (rk_compile_set_ssh(rk_buf_str(&body), ssh.user_claim))
        owe_everybody(app);
}

void provider_stop(struct app *app)
{
    rk_keeper_close(app->keeper);
}

void provider_close(struct app *app)
{
    rk_verifier_free(app->verifier);
    app->verifier = NULL;
}
