#pragma once

/* Signing in with claims, for the tests of one file, each with an empty server to begin with. */

#include "libcommon/account/rules/sign_in.h"
#include "tests/support/account_claims.h"
#include "tests/support/account_rules.h"

static RK_UNUSED const struct rk_sign_in_rules single = { .single_account_domain = "team.test",
                                                          .default_domain = "d.test" };
static RK_UNUSED const struct rk_sign_in_rules many = { .single_account_domain = "",
                                                        .default_domain = "d.test" };
static RK_UNUSED const struct rk_sign_in_rules embedded = { .embedded = true,
                                                            .single_account_domain = "team.test",
                                                            .default_domain = "d.test" };

static RK_UNUSED struct rk_arena *arena;
static RK_UNUSED struct rk_signed_in got;
static RK_UNUSED struct rk_err err;

static RK_UNUSED int empty(void **state)
{
    (void)state;
    pg_must(pg, "DELETE FROM account");
    rk_arena_free(arena);
    arena = rk_arena_new((size_t)16 << 20);
    err = (struct rk_err){ 0 };
    return 0;
}

static RK_UNUSED int sign_in(const struct rk_sign_in_rules *rules, const struct rk_claims *c)
{
    err = (struct rk_err){ 0 };
    return rk_sign_in(pg, rules, c, true, arena, &got, &err);
}

static RK_UNUSED void come(const struct rk_sign_in_rules *rules, const char *sub)
{
    struct rk_claims c = claims_of(sub, "{}");

    done(sign_in(rules, &c), &err);
}

static RK_UNUSED void connector(const char *id, const char *account_id)
{
    char sql[300];

    snprintf(sql, sizeof(sql),
             "INSERT INTO connector (id, account_id, type, name, client_id, sealed_secret) VALUES "
             "('%s', '%s', 'oidc', 'n', 'c', '')",
             id, account_id);
    pg_must(pg, sql);
}

static RK_UNUSED int64_t ask(const char *sql)
{
    return pg_ask(&fx, sql);
}

/* The account that `sub` signs in to, and its owner, whom nothing keeps waiting. */
static RK_UNUSED void team(const char *settings)
{
    char sql[600];

    come(&single, "owner");
    snprintf(sql, sizeof(sql), "UPDATE account SET settings = settings || '%s'", settings);
    pg_must(pg, sql);
    memcpy(acc.account_id, got.account_id, sizeof(acc.account_id));
    actor = (struct rk_actor){ .account_id = rk_arena_strdup(arena, got.account_id),
                               .user_id = "owner",
                               .is_admin = true,
                               .default_domain = "d.test" };
}

#define NO_APPROVAL "{\"extra\":{\"user_approval_required\":false}}"
#define FOLLOW                                                                                     \
    "{\"extra\":{\"user_approval_required\":false},\"jwt_groups_enabled\":true,"                   \
    "\"jwt_groups_claim_name\":\"teams\"}"
