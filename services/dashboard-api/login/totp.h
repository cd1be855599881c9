#pragma once

/* One-time passwords by time, RFC 6238: HMAC-SHA-1, 6 digits, steps of 30 s, one step early or late
 * accepted. Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/str.h"

#define TOTP_SECRET_BYTES 20
#define TOTP_DIGITS 6
#define TOTP_STEP_S 30

/* The code of a step (seconds since 1970 through TOTP_STEP_S). */
void totp_code(const void *secret, size_t n, int64_t step, char out[TOTP_DIGITS + 1]);

/* Whether `code` (spaces ignored) is one of now and of a step after `last_step`; stores its step.
 */
bool totp_check(const void *secret,
                size_t n,
                int64_t now_s,
                int64_t last_step,
                struct rk_str code,
                int64_t *out_step);

/* RFC 4648 base32 without padding, as apps want the secret; a NUL at the end. */
#define TOTP_BASE32_LEN(n) (((n)*8 + 4) / 5)
void totp_base32(const void *p, size_t n, char *out);
