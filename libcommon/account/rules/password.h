#pragma once

/* What a password must be like. Any thread. */

#include "libcommon/base/err.h"

#define RK_PASSWORD_MIN_CHARS 8
#define RK_PASSWORD_MAX_BYTES 72

/* RK_INVALID with everything that is missing: "password must contain at least one digit, one
 * special character". */
int rk_password_rules(const char *password, struct rk_err *err) RK_CHECKED;
