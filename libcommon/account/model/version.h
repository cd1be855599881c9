#pragma once

/* Agent versions as the map's gates compare them. Any thread. */

#include <stdbool.h>

bool rk_version_is_dev(
    const char *v); /* starts with "development", "ci-" or "dev-": counts as newest */
/* v >= major.minor.patch; pre-release suffix cut at the first '-'. False when it does not parse;
 * dev = true. */
bool rk_version_at_least(const char *v, unsigned major, unsigned minor, unsigned patch);
/* Nothing is cut: a pre-release never reaches a plain minimum. dev = true; unparsable = false. */
bool rk_version_uncut_at_least(const char *v, unsigned major, unsigned minor, unsigned patch);
/* Strict semantic version: 0.59.0-x is lower than 0.59.0. dev = true; unparsable = false. */
bool rk_version_semver_at_least(const char *v, unsigned major, unsigned minor, unsigned patch);
