#pragma once

/* Digests and checksums. Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/str.h"

void rk_sha256(const void *p, size_t n, uint8_t out[32]);
void rk_sha256_b64(struct rk_str s, char out[45]);            /* standard base64 and a NUL */
void rk_blake2b_16(const void *p, size_t n, uint8_t out[16]); /* unkeyed, 16-byte digest */
void rk_hmac_sha256(const void *key, size_t key_n, const void *p, size_t n, uint8_t out[32]);
uint32_t rk_crc32(const void *p, size_t n); /* IEEE */
