#pragma once

/* For rules that make and unmake groups. */

#include "libcommon/account/rules/group.h"

/* RK_BAD_REQUEST "group has been linked to ..." while something uses it. */
int group_check_unlinked(struct rk_pg *pg,
                         const struct rk_actor *actor,
                         const char *id,
                         struct rk_err *err) RK_CHECKED;
