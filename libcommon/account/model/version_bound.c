#include "libcommon/account/model/version_bound.h"

/*
 * Grammar: an optional "v", decimal segments between dots, a pre-release (after a hyphen, or
 * without one when it begins with no digit), "+" and metadata. Parts of the last two consist of
 * letters, digits, '-' and '~', between dots, none empty.
 */

#include <stdint.h>
#include <string.h>

enum {
    SEGMENTS_MIN = 3,
    SEGMENTS_MAX = 32
};

struct version {
    int64_t segments[SEGMENTS_MAX];
    size_t n; /* at least SEGMENTS_MIN, padded with zeros */
    struct rk_str pre;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_part(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '~';
}

static bool all_parts(struct rk_str s)
{
    struct rk_str part;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_part(s.p[i]) && s.p[i] != '.')
            return false;
    while (rk_str_next(&s, '.', &part))
        if (part.n == 0)
            return false;
    return true;
}

static bool take_segment(struct rk_str *s, int64_t *out)
{
    int64_t v = 0;
    size_t i = 0;

    for (; i < s->n && is_digit(s->p[i]); i++) {
        int digit = s->p[i] - '0';

        if (v > (INT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    s->p += i;
    s->n -= i;
    *out = v;
    return i > 0;
}

static bool take_segments(struct rk_str *s, struct version *out)
{
    do {
        if (out->n == SEGMENTS_MAX || !take_segment(s, &out->segments[out->n++]))
            return false;
        if (s->n == 0 || s->p[0] != '.')
            break;
        s->p++;
        s->n--;
    } while (true);
    while (out->n < SEGMENTS_MIN)
        out->segments[out->n++] = 0;
    return true;
}

static bool parse(struct rk_str s, struct version *out)
{
    struct rk_str pre, rest;

    memset(out, 0, sizeof(*out));
    if (s.n > 0 && s.p[0] == 'v') {
        s.p++;
        s.n--;
    }
    if (!take_segments(&s, out))
        return false;
    rest = s;
    (void)rk_str_next(&rest, '+', &pre);
    if (rest.p && !all_parts(rest))
        return false;
    if (pre.n == 0)
        return true;
    /* The hyphen leads to the pre-release, unless nothing could follow it. */
    if (pre.n > 1 && pre.p[0] == '-' && pre.p[1] != '.') {
        pre.p++;
        pre.n--;
    }
    out->pre = pre;
    return all_parts(pre);
}

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_segments(const struct version *a, const struct version *b)
{
    for (size_t i = 0; i < a->n || i < b->n; i++) {
        int c = compare_numbers(i < a->n ? a->segments[i] : 0, i < b->n ? b->segments[i] : 0);

        if (c != 0)
            return c;
    }
    return 0;
}

static bool number(struct rk_str s, int64_t *out)
{
    bool minus = s.n > 1 && s.p[0] == '-';

    if (minus) {
        s.p++;
        s.n--;
    }
    if (!take_segment(&s, out) || s.n > 0)
        return false;
    *out = minus ? -*out : *out;
    return true;
}

/* A missing part is before a word and after a number; a number is before a word. */
static int compare_part(struct rk_str a, struct rk_str b)
{
    int64_t x = 0, y = 0;
    bool a_number, b_number;
    int c;

    if (rk_str_eq(a, b))
        return 0;
    a_number = number(a, &x);
    b_number = number(b, &y);
    if (a.n == 0)
        return b_number ? -1 : 1;
    if (b.n == 0)
        return a_number ? 1 : -1;
    if (a_number != b_number)
        return a_number ? -1 : 1;
    if (a_number)
        return x > y ? 1 : -1;
    c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c > 0 || (c == 0 && a.n > b.n) ? 1 : -1;
}

static int compare_pre(struct rk_str a, struct rk_str b)
{
    struct rk_str x, y;

    while (a.p || b.p) {
        int c;

        x = y = (struct rk_str){ NULL, 0 };
        if (a.p)
            (void)rk_str_next(&a, '.', &x);
        if (b.p)
            (void)rk_str_next(&b, '.', &y);
        c = compare_part(x, y);
        if (c != 0)
            return c;
    }
    return 0;
}

bool rk_version_meets(struct rk_str version, struct rk_str minimum)
{
    struct version v, min;
    int c;

    if (!parse(version, &v) || !parse(minimum, &min))
        return false;
    c = compare_segments(&v, &min);
    if (v.pre.n == 0)
        return c >= 0;
    if (min.pre.n == 0 || c != 0 || v.n != min.n)
        return false;
    return compare_pre(v.pre, min.pre) >= 0;
}

struct rk_str rk_version_cut(struct rk_str version)
{
    struct rk_str head = version;

    (void)rk_str_next(&version, '-', &head);
    return head;
}

bool rk_version_parses(struct rk_str version)
{
    struct version v;

    return parse(version, &v);
}
