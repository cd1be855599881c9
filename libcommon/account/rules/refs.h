#pragma once

/* Objects that name other objects: what they name exists. Worker threads, inside a change. */

#include "libcommon/account/rules/actor.h"

/* Groups that an object needs at least one of. RK_INVALID with the text of the wire: an empty list,
 * an empty id, an unknown group. */
int rk_refs_groups(struct rk_change *ch, const struct rk_str *ids, size_t n, struct rk_err *err)
    RK_CHECKED;
/* Posture checks, all of them: asked with the next statement whose answer is waited for, and judged
 * after it (NULL: there was nothing to ask). RK_INVALID "posture checks: X not found". */
int rk_refs_ask_posture_checks(struct rk_change *ch,
                               const struct rk_str *ids,
                               size_t n,
                               struct rk_pg_result **out,
                               struct rk_err *err) RK_CHECKED;
int rk_refs_posture_checks(const struct rk_pg_result *answer, struct rk_err *err) RK_CHECKED;
/* RK_INVALID "peer with id X not found". */
int rk_refs_peer(struct rk_change *ch, const char *id, struct rk_err *err) RK_CHECKED;
