#pragma once

/* The codes of the audit trail: the sentence for each, and the kind of object it tells of. Any
 * thread. */

#include "libcommon/base/arena.h"
#include "libcommon/base/str.h"

/* The i-th code; NULL after the last. */
const char *activity_code(size_t i);
/* The code itself when there is none. */
const char *activity_label(const char *code);
bool activity_known(struct rk_str code);
/* Every code that tells of this kind ("peer", "policy", "setup_key", ...); 0 when there is no such
 * kind. *out is in the arena. */
size_t activity_codes_of(struct rk_str kind, struct rk_arena *arena, struct rk_str **out);
