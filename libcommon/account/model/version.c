#include "libcommon/account/model/version.h"

/*
 * Three readings of a version, because agents and servers disagree about pre-releases: cut
 * (0.60.0-rc1 counts as 0.60.0), uncut (a pre-release never reaches a plain minimum), and strict
 * semantic versioning.
 */

#include <stdint.h>

#include "libcommon/base/str.h"

bool rk_version_is_dev(const char *v)
{
    struct rk_str s = rk_str(v);

    return rk_str_starts(s, RK_STR("development")) || rk_str_starts(s, RK_STR("ci-")) ||
           rk_str_starts(s, RK_STR("dev-"));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_ident(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.';
}

/* Dot-separated decimal numbers at the front of *s; how many (the first three in out), 0 when there
 * is none. */
static size_t take_numbers(struct rk_str *s, uint64_t out[3], bool *leading_zero)
{
    size_t count = 0, i = 0;

    out[0] = out[1] = out[2] = 0;
    *leading_zero = false;
    for (;;) {
        size_t start = i;
        uint64_t v = 0;

        while (i < s->n && is_digit(s->p[i])) {
            if (v > (UINT64_MAX - 9) / 10)
                return 0;
            v = v * 10 + (uint64_t)(s->p[i++] - '0');
        }
        if (i == start)
            return 0;
        if (i - start > 1 && s->p[start] == '0')
            *leading_zero = true;
        if (count < 3)
            out[count] = v;
        count++;
        if (i + 1 < s->n && s->p[i] == '.' && is_digit(s->p[i + 1]))
            i++;
        else
            break;
    }
    s->p += i;
    s->n -= i;
    return count;
}

static int compare(const uint64_t v[3], unsigned major, unsigned minor, unsigned patch)
{
    const uint64_t min[3] = { major, minor, patch };

    for (size_t i = 0; i < 3; i++)
        if (v[i] != min[i])
            return v[i] < min[i] ? -1 : 1;
    return 0;
}

static bool all_ident(struct rk_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_ident(s.p[i]))
            return false;
    return s.n > 0;
}

/* Segments, then a pre-release (hyphen optional before a letter), then build metadata. */
static bool parse_loose(struct rk_str s, uint64_t v[3], bool *out_pre)
{
    struct rk_str pre, build;
    bool zero;

    if (s.n > 0 && s.p[0] == 'v') {
        s.p++;
        s.n--;
    }
    if (take_numbers(&s, v, &zero) == 0)
        return false;
    build = s;
    (void)rk_str_next(&build, '+', &pre);
    if (build.p && !all_ident(build))
        return false;
    *out_pre = pre.n > 0;
    if (pre.n == 0)
        return true;
    if (pre.p[0] == '-') {
        pre.p++;
        pre.n--;
    } else if (is_digit(pre.p[0]) || pre.p[0] == '.') {
        return false;
    }
    return all_ident(pre);
}

bool rk_version_at_least(const char *v, unsigned major, unsigned minor, unsigned patch)
{
    struct rk_str rest = rk_str(v), head;
    uint64_t num[3];
    bool pre;
    int c;

    if (rk_version_is_dev(v))
        return true;
    if (!rk_str_next(&rest, '-', &head) || !parse_loose(head, num, &pre))
        return false;
    c = compare(num, major, minor, patch);
    return c >= 0 && !pre;
}

bool rk_version_uncut_at_least(const char *v, unsigned major, unsigned minor, unsigned patch)
{
    uint64_t num[3];
    bool pre;

    if (rk_version_is_dev(v))
        return true;
    return parse_loose(rk_str(v), num, &pre) && !pre && compare(num, major, minor, patch) >= 0;
}

/* Dot-separated identifiers, none empty. A numeric one of a pre-release has no leading zero. */
static bool strict_idents(struct rk_str s, bool pre)
{
    struct rk_str part;

    if (!all_ident(s))
        return false;
    while (rk_str_next(&s, '.', &part)) {
        bool number = part.n > 0;

        for (size_t i = 0; i < part.n; i++)
            number = number && is_digit(part.p[i]);
        if (part.n == 0 || (pre && number && part.n > 1 && part.p[0] == '0'))
            return false;
    }
    return true;
}

bool rk_version_semver_at_least(const char *v, unsigned major, unsigned minor, unsigned patch)
{
    struct rk_str s = rk_str(v), pre = { NULL, 0 }, build = { NULL, 0 };
    uint64_t num[3];
    size_t segments;
    bool zero;
    int c;

    if (rk_version_is_dev(v))
        return true;
    segments = take_numbers(&s, num, &zero);
    if (segments == 0 || segments > 3 || zero)
        return false;
    if (s.n > 0 && segments < 3) /* a suffix needs all three */
        return false;
    if (s.n > 0) {
        struct rk_str front;

        build = s;
        (void)rk_str_next(&build, '+', &front);
        pre = front;
        if (build.p && !strict_idents(build, false))
            return false;
        if (pre.n > 0 &&
            (pre.p[0] != '-' || !strict_idents((struct rk_str){ pre.p + 1, pre.n - 1 }, true)))
            return false;
    }
    c = compare(num, major, minor, patch);
    return c > 0 || (c == 0 && pre.n == 0);
}
