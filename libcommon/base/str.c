#include "libcommon/base/str.h"

/* Byte ranges as values. Case folding and white space are ASCII only: nothing here depends on the
 * locale. */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool rk_str_ieq(struct rk_str a, struct rk_str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

bool rk_str_starts(struct rk_str s, struct rk_str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool rk_str_ends(struct rk_str s, struct rk_str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

struct rk_str rk_str_trim(struct rk_str s)
{
    while (s.n > 0 && space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && space(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool rk_str_next(struct rk_str *rest, char sep, struct rk_str *out_part)
{
    const char *at;

    if (!rest->p)
        return false;
    at = rest->n > 0 ? memchr(rest->p, sep, rest->n) : NULL;
    if (!at) {
        *out_part = *rest;
        *rest = (struct rk_str){ NULL, 0 };
        return true;
    }
    *out_part = rk_strn(rest->p, (size_t)(at - rest->p));
    *rest = rk_strn(at + 1, rest->n - out_part->n - 1);
    return true;
}

bool rk_str_u64(struct rk_str s, uint64_t *out)
{
    uint64_t v = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';

        if (digit > 9 || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v))
            return false;
    }
    *out = v;
    return true;
}

bool rk_str_i64(struct rk_str s, int64_t *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    uint64_t v;

    if (negative || (s.n > 0 && s.p[0] == '+')) {
        s.p++;
        s.n--;
    }
    if (!rk_str_u64(s, &v) || v > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool rk_str_copy(struct rk_str s, char *out, size_t size)
{
    if (size == 0)
        return false;
    out[0] = 0;
    if (s.n >= size || (s.n > 0 && memchr(s.p, 0, s.n)))
        return false;
    if (s.n > 0)
        memcpy(out, s.p, s.n);
    out[s.n] = 0;
    return true;
}

bool rk_utf8_valid(struct rk_str s)
{
    const uint8_t *p = (const uint8_t *)s.p;
    size_t i = 0;

    while (i < s.n) {
        size_t n = rk_utf8_len(p + i, s.n - i);

        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

size_t rk_utf8_len(const uint8_t *p, size_t n)
{
    uint8_t lo = 0x80, hi = 0xbf;
    size_t len;

    if (n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len > n)
        return 0;
    /* The second byte rules out overlong forms, surrogates and what is past U+10FFFF. */
    if (p[0] == 0xe0)
        lo = 0xa0;
    else if (p[0] == 0xed)
        hi = 0x9f;
    else if (p[0] == 0xf0)
        lo = 0x90;
    else if (p[0] == 0xf4)
        hi = 0x8f;
    if (p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}
