#pragma once

/* Basic: who a client says it is in its Authorization header (RFC 7617, with the parts form-encoded
 * as RFC 6749 2.3.1 has it). Pure; any thread. */

#include "libcommon/base/arena.h"
#include "libcommon/base/str.h"

#define BASIC_MAX 2048

enum basic_outcome {
    BASIC_ABSENT, /* no header, or another scheme */
    BASIC_GIVEN,
    BASIC_BAD,
};
enum basic_outcome basic_parse(struct rk_str header,
                               struct rk_arena *arena,
                               const char **out_id,
                               const char **out_secret);
