#pragma once

/* What somebody who signed in holds at the embedded provider, and how it is taken away: whoever is
 * blocked, rejected or deleted, or changes the password, is signed out everywhere. Worker thread.
 */

#include "libcommon/base/err.h"
#include "libcommon/pg/pg.h"

/* Deletes the sessions and grants of this user, whose tokens are then refused, and the codes not
 * yet redeemed. As part of the transaction that is open on `pg`, or by itself. */
int rk_user_sessions_end(struct rk_pg *pg, const char *user_id, struct rk_err *err) RK_CHECKED;
/* Of each of these. */
int rk_users_sessions_end(struct rk_pg *pg,
                          const struct rk_str *user_ids,
                          size_t n,
                          struct rk_err *err) RK_CHECKED;
/* The same but for the grant by whose token it was asked for (empty: none), and its browser's
 * session. */
int rk_user_sessions_end_others(struct rk_pg *pg,
                                const char *user_id,
                                struct rk_str grant,
                                struct rk_err *err) RK_CHECKED;
