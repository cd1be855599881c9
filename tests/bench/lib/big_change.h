#pragma once

/* Changes to the account of big_account.h, as a store would read them: each is the next serial's
 * delta, which the caller frees. Any thread. */

#include "libcommon/account/snapshot/snapshot.h"

/* Of that peer of the account; ends the program when there is none. */
size_t big_account_index(const struct rk_snapshot *s, unsigned peer);

struct rk_delta *big_change_version(const struct rk_snapshot *s); /* a peer's */
struct rk_delta *big_change_team(const struct rk_snapshot *s);    /* a peer into another */
struct rk_delta *big_change_port(const struct rk_snapshot *s);    /* of a policy of two teams */
struct rk_delta *big_change_join(const struct rk_snapshot *s);    /* a peer that is new */
/* Only its own map says whether a peer is to serve SSH. */
struct rk_delta *big_change_one(const struct rk_snapshot *s);
/* The port of a policy that concerns everybody. */
struct rk_delta *big_change_wide(const struct rk_snapshot *s, const char *port);
