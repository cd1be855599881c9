#pragma once

/*
 * A version against a minimum, as posture checks compare them: versions as the world writes them,
 * any number of segments, and a pre-release that meets only a minimum which names a pre-release of
 * the same version. Any thread.
 */

#include <stdbool.h>

#include "libcommon/base/str.h"

/* False also when either does not parse. */
bool rk_version_meets(struct rk_str version, struct rk_str minimum);
/* Everything before the first '-'. */
struct rk_str rk_version_cut(struct rk_str version);
/* Is it a version at all? */
bool rk_version_parses(struct rk_str version);
