#pragma once

/* Text forms of bytes: standard base64 with padding (RFC 4648 section 4), base64url without
 * (section 5), lower-case hex, and what may stand in a URL. Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

#define RK_B64_LEN(n) (((n) + 2) / 3 * 4)

/* Writes RK_B64_LEN(n) characters and a NUL; out has room for them. */
void rk_b64_encode(const void *p, size_t n, char *out);
/* Strict alphabet and padding, except that unused trailing bits may be anything. False, or *out_n
 * bytes (at most max). */
bool rk_b64_decode(struct rk_str s, void *out, size_t max, size_t *out_n);

#define RK_B64URL_LEN(n) (((n)*4 + 2) / 3)

/* Writes RK_B64URL_LEN(n) characters and a NUL; out has room for them. */
void rk_b64url_encode(const void *p, size_t n, char *out);
/* One spelling of any bytes: strict alphabet, no padding, unused trailing bits are 0. False, or
 * *out_n bytes (at most max). */
bool rk_b64url_decode(struct rk_str s, void *out, size_t max, size_t *out_n);

void rk_hex_encode(const void *p, size_t n, char *out); /* 2n characters and a NUL */
bool rk_hex_decode(struct rk_str s, void *out, size_t max, size_t *out_n);

/* As a part of a URL or form: all but RFC 3986's unreserved characters as %XX, spaces too. */
void rk_url_put(struct rk_buf *out, struct rk_str s);
