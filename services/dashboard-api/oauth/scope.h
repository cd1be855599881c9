#pragma once

/* Scope: the set of what a client asks to know. Pure; any thread. */

#include <stdbool.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/str.h"

enum scope {
    SCOPE_OPENID = 1,
    SCOPE_PROFILE = 2,
    SCOPE_EMAIL = 4,
    SCOPE_GROUPS = 8,
    SCOPE_OFFLINE = 16,
};

/* Words joined by spaces. False when one is unknown; two that old dashboards ask for are passed
 * over. */
bool scope_parse(struct rk_str text, unsigned *out);
/* The same words back, in the arena. */
const char *scope_text(unsigned set, struct rk_arena *arena);
