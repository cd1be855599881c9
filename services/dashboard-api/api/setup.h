#pragma once

/* How the first account is made: over REST, or by the command of that name. Worker or main thread.
 */

#include "libcommon/account/rules/account_create.h"
#include "libcommon/base/err.h"
#include "libcommon/pg/pg.h"
#include "services/dashboard-api/api/setup_body.h"
#include "services/dashboard-api/call.h"

/* RK_PRECONDITION when there is an account already, or where the first who signs in owns it: for
 * strangers who come too late nothing costly is done. */
int setup_open(struct rk_pg *pg, const struct api_config *config, struct rk_err *err) RK_CHECKED;
/* `token`: a personal access token of the owner, good for in->pat_days; NULL: none. As
 * setup_open; takes as long as a password hash. */
int setup_first_account(struct rk_pg *pg,
                        const struct api_config *config,
                        const struct setup_body *in,
                        const char *token,
                        struct rk_account_created *out,
                        struct rk_err *err) RK_CHECKED;
/* Whoever finds a stranger's account there is to find from where it came. */
void setup_log(const struct call *c, const struct rk_account_created *a);
