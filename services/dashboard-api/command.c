/* See command.h. */

#include "services/dashboard-api/command.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/account/rules/account_create.h"
#include "libcommon/account/rules/password.h"
#include "libcommon/account/rules/pat.h"
#include "libcommon/account/store/edges.h"
#include "libcommon/account/store/reseal.h"
#include "libcommon/account/store/store.h"
#include "libcommon/base/alloc.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/password.h"
#include "libcommon/crypto/seal.h"
#include "services/dashboard-api/api/setup.h"
#include "services/dashboard-api/login/factor.h"
#include "services/dashboard-api/login/local.h"
#include "services/dashboard-api/oauth/provider.h"

struct task {
    const struct api_config *config;
    struct rk_pg *pg;
    const char *argument;            /* of those that take one */
    const struct provider *provider; /* NULL: the embedded provider is off */
    const struct rk_seal *seal;
};

typedef int task_fn(const struct task *t, struct rk_err *err);

struct command {
    const char *name;
    const char *takes; /* what its argument is; NULL = none */
    task_fn *run;
    bool alone; /* without settings and without Postgres */
    const char *what;
};

#define LINE_MAX_BYTES 512
#define SETUP_TOKEN_DAYS RK_PAT_MAX_DAYS

/* It is everybody's. */
static const struct rk_pg_stmt tell_all = {
    "command_tell_all", "INSERT INTO event (account_id, code, initiator_id, target_id) "
                        "SELECT id, $1, '" LOCAL_OPERATOR "', id FROM account"
};

static int rotate(const struct task *t, bool compromised, struct rk_err *err)
{
    int r;

    if (!t->provider)
        return rk_fail(err, RK_PRECONDITION, "oidc_embedded is false: there are no keys of ours");
    r = keys_rotate(t->provider->keys, t->pg, compromised, err);
    if (r == 0)
        r = rk_pg_run(
            t->pg, &tell_all, NULL, err,
            RK_P_C(compromised ? "account.signing.key.replace" : "account.signing.key.rotate"));
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

/* The first line of a file in a directory. */
static int
first_line(const char *directory, const char *name, char out[LINE_MAX_BYTES], struct rk_err *err)
{
    rk_auto(rk_free) void *path = rk_asprintf("%s/%s", directory, name);
    FILE *f = fopen(path, "re");

    out[0] = '\0';
    if (!f)
        return rk_fail(err, RK_NOT_FOUND, "%s cannot be read", (const char *)path);
    if (!fgets(out, LINE_MAX_BYTES, f))
        out[0] = '\0';
    (void)fclose(f);
    out[strcspn(out, "\r\n")] = '\0';
    return 0;
}

/* What is in the directory, by files as an orchestrator mounts its secrets: email, password, and
 * token where the owner is to have one. */
static int setup_from(const struct task *t,
                      char email[LINE_MAX_BYTES],
                      char password[LINE_MAX_BYTES],
                      char token[LINE_MAX_BYTES],
                      struct rk_err *err)
{
    struct setup_body in = {
        .email = email, .password = password, .name = email, .pat_days = SETUP_TOKEN_DAYS
    };
    struct rk_account_created made;
    int r;

    r = first_line(t->argument, "email", email, err);
    if (r == 0)
        r = first_line(t->argument, "password", password, err);
    if (r < 0)
        return r;
    (void)first_line(t->argument, "token", token, NULL);
    in.create_pat = token[0] != '\0';
    if (in.create_pat && !rk_pat_valid(RK_PAT_PREFIX, rk_str(token)))
        return rk_fail(err, RK_INVALID,
                       "%s/token is none: make one with rookery-dashboard-api new-token",
                       t->argument);
    r = setup_body_check(&in, err);
    if (r == 0)
        r = setup_first_account(t->pg, t->config, &in, in.create_pat ? token : NULL, &made, err);
    if (r == 0)
        printf("%s owns account %s now.\n", email, made.account_id);
    return r;
}

/* To be repeated without harm: where there is an account, nothing is done. */
static int setup(const struct task *t, struct rk_err *err)
{
    char email[LINE_MAX_BYTES] = "", password[LINE_MAX_BYTES] = "", token[LINE_MAX_BYTES] = "";
    bool any = false;
    int r = rk_account_any(t->pg, &any, err);

    if (r == 0 && any)
        puts("There is an account already; nothing is done.");
    else if (r == 0)
        r = setup_from(t, email, password, token, err);
    rk_wipe(password, sizeof(password));
    rk_wipe(token, sizeof(token));
    return r;
}

static int new_token(const struct task *t, struct rk_err *err)
{
    char token[RK_PAT_LEN + 1];

    (void)t;
    (void)err;
    rk_pat_new(RK_PAT_PREFIX, token);
    puts(token);
    rk_wipe(token, sizeof(token));
    return 0;
}

/* Every command does that before it begins. */
static int migrate(const struct task *t, struct rk_err *err)
{
    (void)t;
    (void)err;
    puts("The schema is as this release needs it.");
    return 0;
}

static int after_restore(const struct task *t, struct rk_err *err)
{
    int64_t accounts = 0;
    int r = rk_store_restored(t->pg, &accounts, err);

    if (r == 0)
        printf("%lld accounts: agents take what is in the database now for newer than what they "
               "have.\n",
               (long long)accounts);
    return r;
}

static int reseal(const struct task *t, struct rk_err *err)
{
    struct rk_reseal sum;
    int r = rk_store_reseal(t->pg, t->seal, &sum, err);

    if (r == 0)
        printf("%lld secrets are sealed under the first key now, %lld were already.\n",
               (long long)sum.changed, (long long)sum.already);
    if (r == 0 && sum.lost > 0)
        return rk_fail(err, RK_DENIED, "%lld secrets open under no key of secret_key",
                       (long long)sum.lost);
    return r;
}

static int list_edges(const struct task *t, struct rk_err *err)
{
    rk_auto(rk_edge_rows_free) struct rk_edge_rows *rows = NULL;
    int r = rk_edge_load(t->pg, &rows, err);

    for (size_t i = 0; r == 0 && i < rows->n; i++) {
        const struct rk_edge_row *e = &rows->row[i];

        printf("%s  %s  %llu of %llu  %s\n", e->url, *e->region ? e->region : "-",
               (unsigned long long)e->load, (unsigned long long)e->capacity,
               e->drained        ? "drained"
               : e->leaving      ? "has left"
               : e->left_ms <= 0 ? "lost"
               : e->crowded      ? "crowded"
                                 : "there");
    }
    return r;
}

static int drain_edge(const struct task *t, struct rk_err *err)
{
    int r = rk_edge_drain(t->pg, t->argument, true, err);

    if (r == 0)
        printf("%s goes off all lists within %d s. Who is connected stays.\n", t->argument,
               RK_EDGE_RENEW_MS / 1000);
    return r;
}

static int undrain_edge(const struct task *t, struct rk_err *err)
{
    int r = rk_edge_drain(t->pg, t->argument, false, err);

    if (r == 0)
        printf("%s is on the lists again within %d s.\n", t->argument, RK_EDGE_RENEW_MS / 1000);
    return r;
}

static const struct command commands[] = {
    { "rotate-keys", NULL, rotate_keys, false, "sign with a new key, as every 30 days" },
    { "replace-keys", NULL, replace_keys, false, "the old ones count no more: one is known" },
    { "reset-mfa", "E-MAIL", reset_mfa, false, "for who has lost the second factor" },
    { "set-password", "E-MAIL", set_password, false, "it is the first line of the input" },
    { "add-account", "E-MAIL", add_account, false, "another one, of this owner" },
    { "setup", "DIRECTORY", setup, false, "the first account, from files" },
    { "new-token", NULL, new_token, true, "for such a file; needs no settings" },
    { "migrate", NULL, migrate, false, "the schema, before new replicas start" },
    { "reseal", NULL, reseal, false, "while secret_key is being changed" },
    { "after-restore", NULL, after_restore, false, "the database was put back in time" },
    { "edges", NULL, list_edges, false, "relays and STUN servers that registered" },
    { "drain-edge", "URL", drain_edge, false, "take it off agents' lists" },
    { "undrain-edge", "URL", undrain_edge, false, "put it back" },
};

void command_help(FILE *out)
{
    (void)fputs(
        "\nIn place of serving, rookery-dashboard-api COMMAND --config FILE does one thing:\n\n",
        out);
    for (size_t i = 0; i < RK_COUNT(commands); i++)
        (void)fprintf(out, "  %-13s %-9s  %s\n", commands[i].name,
                      commands[i].takes ? commands[i].takes : "", commands[i].what);
}

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

bool command_alone(const struct command *cmd)
{
    return cmd->alone;
}

static int
run_on_postgres(const struct command *cmd, const char *argument, const struct api_config *config)
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
        r = cmd->run(&(struct task){ config, pg, argument, provider, &seal }, &err);
    if (r < 0)
        (void)fprintf(stderr, "%s: %s\n", cmd->name, err.msg);
    rk_seal_done(&seal);
    return r < 0 ? 1 : 0;
}

int command_run(const struct command *cmd, const char *argument, const struct api_config *config)
{
    if (cmd->alone)
        return cmd->run(NULL, NULL) < 0 ? 1 : 0;
    return run_on_postgres(cmd, argument, config);
}
