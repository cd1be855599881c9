/* See route.h. */

#include "services/dashboard-api/route/route.h"

#include "libcommon/base/encode.h"

#define TELLING 5 /* the first byte behind "/api/": most rows differ there; no path is shorter */

static bool
path_matches(const char *pattern, struct rk_str path, struct rk_str vars[ROUTE_MAX_VARS])
{
    const char *p = path.p, *end = path.p + path.n;
    size_t n = 0;

    while (*pattern != '\0') {
        if (pattern[0] == '{' && pattern[1] == '}') {
            const char *from = p;

            while (p < end && *p != '/')
                p++;
            if (p == from)
                return false;
            vars[n++] = rk_strn(from, (size_t)(p - from));
            pattern += 2;
        } else {
            if (p == end || *p != *pattern)
                return false;
            p++;
            pattern++;
        }
    }
    return p == end;
}

enum route_match route_find(struct rk_str method,
                            struct rk_str path,
                            const struct route **out,
                            struct rk_str vars[ROUTE_MAX_VARS])
{
    enum route_match best = ROUTE_NONE;
    char telling;

    if (path.n <= TELLING)
        return ROUTE_NONE;
    telling = path.p[TELLING];
    for (size_t i = 0; i < routes_count; i++) {
        struct rk_str found[ROUTE_MAX_VARS] = { { NULL, 0 } };

        if (routes[i].path[TELLING] != telling || !path_matches(routes[i].path, path, found))
            continue;
        best = ROUTE_NO_METHOD;
        if (!rk_str_eq(rk_str(routes[i].method), method))
            continue;
        memcpy(vars, found, sizeof(found));
        *out = &routes[i];
        return ROUTE_FOUND;
    }
    return best;
}

char *route_unescape(struct rk_arena *a, struct rk_str s, bool form)
{
    char *out = rk_arena_strn(a, s);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        uint8_t byte;
        size_t got;

        if (s.p[i] == '%' && s.n - i > 2 &&
            rk_hex_decode(rk_strn(s.p + i + 1, 2), &byte, 1, &got) && byte != 0) {
            out[n++] = (char)byte;
            i += 2;
        } else {
            out[n++] = form && s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    out[n] = '\0';
    return out;
}

char *route_text(struct rk_arena *a, struct rk_str s, bool form)
{
    char *text = route_unescape(a, s, form);

    if (rk_utf8_valid(rk_str(text)))
        return text;
    for (char *p = text; *p; p++)
        if ((uint8_t)*p >= 0x80)
            *p = '?';
    return text;
}
