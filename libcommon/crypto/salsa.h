#pragma once

/* Salsa20 for large messages. */

#include <stddef.h>
#include <stdint.h>

#define RK_SALSA_KEY 32
#define RK_SALSA_NONCE 8
#define RK_SALSA_BLOCK 64

/* out = in xor the stream from that block on; `out` may be `in`. */
void rk_salsa_xor(uint8_t *out,
                  const uint8_t *in,
                  size_t n,
                  const uint8_t nonce[RK_SALSA_NONCE],
                  uint64_t block,
                  const uint8_t key[RK_SALSA_KEY]);
