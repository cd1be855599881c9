#include "libcommon/base/encode.h"

/* Not constant time: for names, hashes and public keys, which may be compared and printed freely.
 */

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void rk_b64_encode(const void *p, size_t n, char *out)
{
    const uint8_t *in = p;

    for (; n >= 3; in += 3, n -= 3) {
        uint32_t v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];

        *out++ = b64[v >> 18];
        *out++ = b64[v >> 12 & 63];
        *out++ = b64[v >> 6 & 63];
        *out++ = b64[v & 63];
    }
    if (n > 0) {
        uint32_t v = (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0);

        *out++ = b64[v >> 18];
        *out++ = b64[v >> 12 & 63];
        *out++ = n > 1 ? b64[v >> 6 & 63] : '=';
        *out++ = '=';
    }
    *out = 0;
}

static int b64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool rk_b64_decode(struct rk_str s, void *out, size_t max, size_t *out_n)
{
    size_t pad = 0, n, at = 0;
    uint8_t *to = out;

    if (s.n % 4 != 0)
        return false;
    if (s.n > 0 && s.p[s.n - 1] == '=')
        pad = s.p[s.n - 2] == '=' ? 2 : 1;
    n = s.n / 4 * 3 - pad;
    if (n > max)
        return false;
    for (size_t i = 0; i < s.n; i += 4) {
        bool last = i + 4 == s.n;
        uint32_t v = 0;

        for (size_t k = 0; k < 4; k++) {
            bool padding = last && k >= 4 - pad;
            int x = padding ? 0 : b64_value(s.p[i + k]);

            if (x < 0)
                return false;
            v = v << 6 | (uint32_t)x;
        }
        for (int shift = 16; shift >= 0 && at < n; shift -= 8)
            to[at++] = (uint8_t)(v >> shift);
    }
    *out_n = n;
    return true;
}

static const char b64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void rk_b64url_encode(const void *p, size_t n, char *out)
{
    const uint8_t *in = p;
    uint32_t v = 0;
    unsigned bits = 0;

    for (; n > 0; n--) {
        v = v << 8 | *in++;
        for (bits += 8; bits >= 6; bits -= 6)
            *out++ = b64url[v >> (bits - 6) & 63];
    }
    if (bits > 0)
        *out++ = b64url[v << (6 - bits) & 63];
    *out = 0;
}

bool rk_b64url_decode(struct rk_str s, void *out, size_t max, size_t *out_n)
{
    uint8_t *to = out;
    uint32_t v = 0;
    unsigned bits = 0;
    size_t at = 0;

    if (s.n % 4 == 1 || s.n / 4 * 3 + (s.n % 4 ? s.n % 4 - 1 : 0) > max)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        int x = c == '-' ? 62 : c == '_' ? 63 : c == '+' || c == '/' ? -1 : b64_value(c);

        if (x < 0)
            return false;
        v = v << 6 | (uint32_t)x;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            to[at++] = (uint8_t)(v >> bits);
        }
    }
    if ((v & ((1u << bits) - 1)) != 0)
        return false;
    *out_n = at;
    return true;
}

void rk_hex_encode(const void *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = p;

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[in[i] >> 4];
        *out++ = digits[in[i] & 15];
    }
    *out = 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool rk_hex_decode(struct rk_str s, void *out, size_t max, size_t *out_n)
{
    uint8_t *to = out;

    if (s.n % 2 != 0 || s.n / 2 > max)
        return false;
    for (size_t i = 0; i < s.n; i += 2) {
        int hi = hex_value(s.p[i]), lo = hex_value(s.p[i + 1]);

        if (hi < 0 || lo < 0)
            return false;
        to[i / 2] = (uint8_t)(hi << 4 | lo);
    }
    *out_n = s.n / 2;
    return true;
}

static bool unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void rk_url_put(struct rk_buf *out, struct rk_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (unreserved(s.p[i]))
            rk_buf_put_u8(out, (uint8_t)s.p[i]);
        else
            rk_buf_printf(out, "%%%02X", (unsigned)(uint8_t)s.p[i]);
    }
}
