#pragma once

/* Identifiers. Randomness is the kernel's. Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/str.h"

#define RK_XID_LEN 20
#define RK_UUID_LEN 36

/* xid: 12 bytes (4 time, 5 random of this process, 3 counter) as 20 characters of base32hex, lower
 * case; and a NUL. */
void rk_xid_new(char out[RK_XID_LEN + 1]);
bool rk_xid_valid(struct rk_str s);

void rk_uuid_new(char out[RK_UUID_LEN + 1]); /* version 4, lower case */
bool rk_uuid_valid(struct rk_str s);         /* 8-4-4-4-12 hex digits of either case */

void rk_random(void *out, size_t n);
/* 256 random bits as base64url: what nobody guesses, fit for cookies and URLs. */
#define RK_RANDOM_TEXT_LEN 43
void rk_random_text(char out[RK_RANDOM_TEXT_LEN + 1]);
uint64_t rk_random_below(uint64_t bound); /* uniform in [0, bound), bound > 0 */
