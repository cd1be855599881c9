/* Reading results: text as the server prints it under our session settings (UTC, ISO dates, hex
 * bytea). */

#include "libcommon/pg/result.h"

#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/encode.h"

struct rk_pg_result {
    PGresult *res;
    unsigned refs;
};

struct rk_pg_result *pg_result_new(PGresult *res)
{
    struct rk_pg_result *r = rk_new(struct rk_pg_result);

    r->res = res;
    r->refs = 1;
    return r;
}

struct rk_pg_result *rk_pg_result_ref(struct rk_pg_result *r)
{
    r->refs++;
    return r;
}

void rk_pg_result_free(struct rk_pg_result *r)
{
    if (!r || --r->refs > 0)
        return;
    PQclear(r->res);
    free(r);
}

int rk_pg_rows(const struct rk_pg_result *r)
{
    return PQntuples(r->res);
}

long rk_pg_affected(const struct rk_pg_result *r)
{
    int64_t n = 0;

    rk_str_i64(rk_str(PQcmdTuples(r->res)), &n);
    return (long)n;
}

bool rk_pg_null(const struct rk_pg_result *r, int row, int col)
{
    return PQgetisnull(r->res, row, col);
}

struct rk_str rk_pg_str(const struct rk_pg_result *r, int row, int col)
{
    return rk_strn(PQgetvalue(r->res, row, col), (size_t)PQgetlength(r->res, row, col));
}

int64_t rk_pg_int(const struct rk_pg_result *r, int row, int col)
{
    int64_t n = 0;

    rk_str_i64(rk_pg_str(r, row, col), &n);
    return n;
}

bool rk_pg_bool(const struct rk_pg_result *r, int row, int col)
{
    return rk_str_eq(rk_pg_str(r, row, col), RK_STR("t"));
}

int64_t rk_pg_time(const struct rk_pg_result *r, int row, int col)
{
    struct rk_str s = rk_pg_str(r, row, col);
    char text[48];
    int64_t us;

    /* "2026-01-02 03:04:05.678901+00" */
    if (s.n < 22 || s.n >= sizeof(text) || !rk_str_ends(s, RK_STR("+00")))
        return RK_TIME_UNSET;
    memcpy(text, s.p, s.n);
    text[10] = 'T';
    text[s.n - 3] = 'Z';
    return rk_time_parse(rk_strn(text, s.n - 2), &us) ? us : RK_TIME_UNSET;
}

void rk_pg_bytea(const struct rk_pg_result *r, int row, int col, uint8_t **out, size_t *out_n)
{
    struct rk_str s = rk_pg_str(r, row, col);
    uint8_t *p;

    *out = NULL;
    *out_n = 0;
    if (!rk_str_starts(s, RK_STR("\\x")) || s.n == 2)
        return;
    s = rk_strn(s.p + 2, s.n - 2);
    p = rk_alloc(s.n / 2 + 1);
    if (!rk_hex_decode(s, p, s.n / 2, out_n)) {
        free(p);
        return;
    }
    *out = p;
}

struct rk_str rk_pg_bytes(const struct rk_pg_result *r, int row, int col, struct rk_arena *arena)
{
    struct rk_str s = rk_pg_str(r, row, col);
    uint8_t *p;
    size_t n;

    if (!rk_str_starts(s, RK_STR("\\x")) || s.n == 2)
        return (struct rk_str){ NULL, 0 };
    s = rk_strn(s.p + 2, s.n - 2);
    p = rk_arena_alloc(arena, s.n / 2);
    return rk_hex_decode(s, p, s.n / 2, &n) ? rk_strn(p, n) : (struct rk_str){ NULL, 0 };
}

/* One element at *p, unescaped into *to, with a NUL after it; stops at ',' or '}'. */
static struct rk_str take_element(const char **p, const char *end, char **to)
{
    char *start = *to;
    bool quoted = *p < end && **p == '"';

    if (quoted)
        ++*p;
    while (*p < end) {
        char ch = **p;

        if (quoted ? ch == '"' : (ch == ',' || ch == '}'))
            break;
        if (ch == '\\' && *p + 1 < end)
            ch = *++*p;
        *(*to)++ = ch;
        ++*p;
    }
    if (quoted && *p < end)
        ++*p;
    *(*to)++ = '\0';
    return rk_strn(start, (size_t)(*to - start) - 1);
}

void rk_pg_array(const struct rk_pg_result *r, int row, int col, struct rk_str **out, size_t *out_n)
{
    struct rk_str s = rk_pg_str(r, row, col);
    const char *p = s.p + 1, *end = s.p + s.n;
    size_t max = 1, n = 0, i;
    struct rk_str *items;
    char *text;

    *out = NULL;
    *out_n = 0;
    if (s.n < 3 || s.p[0] != '{')
        return;
    for (i = 0; i < s.n; i++)
        max += s.p[i] == ',';
    items = rk_alloc(max * sizeof(*items) + s.n + 1);
    text = (char *)(items + max);
    while (p < end && *p != '}') {
        items[n++] = take_element(&p, end, &text);
        if (p < end && *p == ',')
            p++;
    }
    *out = items;
    *out_n = n;
}
