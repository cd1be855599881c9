#pragma once

/* How personal access tokens come and go. One transaction each, on a worker thread; no map holds a
 * token. */

#include <stdint.h>

#include "libcommon/account/rules/actor.h"
#include "libcommon/crypto/token.h"

#define RK_PAT_PREFIX "nbp_"
#define RK_PAT_MAX_DAYS 365

/* The token's owner must be the actor, or a service user while the actor is admin or owner:
 * RK_DENIED otherwise; RK_NOT_FOUND for an unknown user. */
int rk_pat_check_owner(struct rk_pg *pg,
                       const struct rk_actor *actor,
                       const char *user_id,
                       struct rk_err *err) RK_CHECKED;
/* RK_INVALID for an empty name or days outside 1..365. *out_plain is stored nowhere. */
int rk_pat_create(struct rk_pg *pg,
                  const struct rk_actor *actor,
                  const char *user_id,
                  const char *name,
                  int64_t days,
                  char out_id[RK_XID_LEN + 1],
                  char out_plain[RK_PAT_LEN + 1],
                  struct rk_err *err) RK_CHECKED;
int rk_pat_delete(struct rk_pg *pg,
                  const struct rk_actor *actor,
                  const char *user_id,
                  const char *id,
                  struct rk_err *err) RK_CHECKED;
