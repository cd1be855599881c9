/* See command.h. */

#include "services/dashboard-api/command.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/account/rules/account_create.h"
#include "libcommon/account/rules/password.h"
#include "libcommon/account/store/store.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/password.h"
#include "libcommon/crypto/seal.h"
#include "services/dashboard-api/api/setup_body.h"
#include "services/dashboard-api/login/factor.h"
#include "services/dashboard-api/login/local.h"
#include "services/dashboard-api/oauth/provider.h"

struct task {
    const struct api_config *config;
    struct rk_pg *pg;
    const char *argument;            /* of those that take one */
    const struct provider *provider; /* NULL: the embedded provider is off */
};

typedef int task_fn(const struct task *t, struct rk_err *err);

struct command {
    const char *name;
    const char *takes; /* what its argument is; NULL = none */
    task_fn *run;
};

static int rotate(const struct task *t, bool compromised, struct rk_err *err)
{
    int r;

    if (!t->provider)
        return rk_fail(err, RK_PRECONDITION, "oidc_embedded is false: there are no keys of ours");
    r = keys_rotate(t->provider->keys, t->pg, compromised, err);
    if (r == 0)
        puts(compromised
                 ? "A new key signs now. What the old ones signed is refused within minutes."
                 : "A new key is published now and signs in 70 minutes.");
    return r;
}

static int rotate_keys(const struct task *t, struct rk_err *err)
{
    return rotate(t, false, err);
}

static int replace_keys(const struct task *t, struct rk_err *err)
{
    return rotate(t, true, err);
}

static int reset_mfa(const struct task *t, struct rk_err *err)
{
    int r = factor_reset(t->pg, t->argument, err);

    if (r == 0)
        printf("%s sets up two-step verification anew at the next login, and is signed out.\n",
               t->argument);
    return r;
}

/* Its first line, so that it stands in no list of processes. */
static int set_password(const struct task *t, struct rk_err *err)
{
    char line[RK_PASSWORD_MAX + 2] = "";
    int r;

    if (!fgets(line, sizeof(line), stdin))
        return rk_fail(err, RK_INVALID, "write the new password to the standard input");
    line[strcspn(line, "\r\n")] = '\0';
    r = local_set_password(t->pg, t->argument, line, err);
    rk_wipe(line, sizeof(line));
    if (r == 0)
        printf("%s has a new password, and is signed out.\n", t->argument);
    return r;
}

/* A tenant, hard separated from all others. */
static int add_account(const struct task *t, struct rk_err *err)
{
    char password[RK_PASSWORD_DRAWN + 1], hash[RK_PASSWORD_LEN];
    struct rk_account_created made;
    struct rk_account_setup in = {
        .domain = "", .email = t->argument, .name = t->argument, .password_hash = hash
    };
    int r;

    if (!api_config_local_users(t->config))
        return rk_fail(err, RK_PRECONDITION,
                       "oidc_embedded is false: accounts come with the logins of their users");
    if (t->config->oidc.oidc_single_account)
        return rk_fail(err, RK_PRECONDITION,
                       "oidc_single_account is true: everybody shares one account");
    if (!setup_email_valid(in.email))
        return rk_fail(err, RK_INVALID, "expected an e-mail address");
    rk_password_draw(password);
    rk_password_hash(rk_str(password), hash);
    r = rk_account_add(t->pg, &in, &made, err);
    if (r == 0)
        printf("Account %s. Its owner signs in as %s with the password %s\n", made.account_id,
               in.email, password);
    rk_wipe(password, sizeof(password));
    return r;
}

static const struct command commands[] = {
    { "rotate-keys", NULL, rotate_keys },   /* as every 30 days, but now */
    { "replace-keys", NULL, replace_keys }, /* somebody has got hold of one */
    { "reset-mfa", "E-MAIL", reset_mfa },   /* somebody has lost the second factor */
    { "set-password", "E-MAIL", set_password },
    { "add-account", "E-MAIL", add_account }, /* of its owner */
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < RK_COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

const char *command_takes(const struct command *cmd)
{
    return cmd->takes;
}

int command_run(const struct command *cmd, const char *argument, const struct api_config *config)
{
    rk_auto(provider_free) struct provider *provider = NULL;
    rk_auto(rk_pg_free) struct rk_pg *pg = rk_pg_new(config->postgres, cmd->name);
    struct rk_err err = { 0 };
    struct rk_seal seal;
    int r;

    r = rk_seal_init(&seal, rk_str(config->secret_key), &err);
    if (r == 0)
        r = provider_new(config, &seal, &provider, &err);
    if (r == 0)
        r = rk_store_migrate(pg, &err);
    if (r == 0)
        r = cmd->run(&(struct task){ config, pg, argument, provider }, &err);
    if (r < 0)
        (void)fprintf(stderr, "%s: %s\n", cmd->name, err.msg);
    rk_seal_done(&seal);
    return r < 0 ? 1 : 0;
}
