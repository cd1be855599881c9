#pragma once

/*
 * Poly1305 as OpenSSL has it, which uses the widest vectors that the processor has: three times as
 * fast as libsodium's. A key is for one message, unless nobody outside ever learns a sum, or
 * anything but whether two are equal. Any thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"

#define RK_POLY1305_LEN 16

struct rk_poly1305;

struct rk_poly1305 *rk_poly1305_begin(const uint8_t key[32]); /* never NULL */
void rk_poly1305_add(struct rk_poly1305 *m, const void *p, size_t n);
/* Frees m. */
void rk_poly1305_end(struct rk_poly1305 *m, uint8_t out[RK_POLY1305_LEN]);
