#pragma once

/* For sign_in*.c. */

#include "libcommon/account/rules/actor.h"
#include "libcommon/account/rules/sign_in.h"

/* Of one token; what more it names is not looked at. */
#define SIGN_IN_GROUPS_MAX 1000
#define SIGN_IN_GROUP_NAME_MAX 255

/* The names of groups in the claim, each once, without those that cannot be one's.
 * In the arena. */
void sign_in_group_names(const struct rk_claims *claims,
                         const char *claim,
                         struct rk_arena *arena,
                         struct rk_str **out,
                         size_t *out_n);

/* Whether the account lets in somebody of these groups; an empty list lets everybody in. */
bool sign_in_let_in(const struct rk_str *allowed,
                    size_t allowed_n,
                    const struct rk_str *names,
                    size_t n);

/*
 * Whether there is nothing to do: the user has the groups `have` that came with earlier tokens, and
 * of those the token names, `taken` are groups that came otherwise and are left alone.
 */
bool sign_in_groups_same(const struct rk_str *names,
                         size_t n,
                         const struct rk_str *have,
                         size_t have_n,
                         const struct rk_str *taken,
                         size_t taken_n);

/* Gives the user the groups its token names; one transaction. */
int sign_in_follow_groups(struct rk_pg *pg,
                          const struct rk_actor *user,
                          const struct rk_claims *claims,
                          struct rk_arena *arena,
                          struct rk_bell *out_bell,
                          struct rk_err *err) RK_CHECKED;
