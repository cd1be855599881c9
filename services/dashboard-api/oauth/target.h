#pragma once

/* Target: an address that a browser is sent to, with what it carries in its query. Spaces are %20
 * and never '+', which the dashboard's own parser would keep. Pure; any thread. */

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

#define TARGET_MAX 8192

/* Appends `name=value`, after '?' or '&' as `out` has it; nothing for a NULL or empty value. */
void target_put(struct rk_buf *out, const char *name, const char *value);
