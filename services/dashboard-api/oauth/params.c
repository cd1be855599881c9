/* See params.h. */

#include "services/dashboard-api/oauth/params.h"

#include "libcommon/base/encode.h"

const char *params_unescape(struct rk_str s, struct rk_arena *arena)
{
    char *out = rk_arena_strn(arena, s);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char byte = s.p[i] == '+' ? ' ' : s.p[i];
        size_t got;

        if (byte == '%') {
            if (s.n - i <= 2 || !rk_hex_decode(rk_strn(s.p + i + 1, 2), &byte, 1, &got))
                return NULL;
            i += 2;
        }
        if (byte == '\0')
            return NULL;
        out[n++] = byte;
    }
    out[n] = '\0';
    return rk_utf8_valid(rk_strn(out, n)) ? out : NULL;
}

static const char *find(const struct params *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->list[i].name, name) == 0)
            return p->list[i].value;
    return NULL;
}

int params_parse(struct rk_str text, struct rk_arena *arena, struct params *out, struct rk_err *err)
{
    struct rk_str part;

    out->n = 0;
    out->repeated = NULL;
    if (text.n > PARAMS_MAX_BYTES)
        return rk_fail(err, RK_BAD_REQUEST, "the request is too long");
    while (rk_str_next(&text, '&', &part)) {
        struct rk_str key;
        const char *name, *value;

        if (part.n == 0)
            continue;
        (void)rk_str_next(&part, '=', &key);
        name = params_unescape(key, arena);
        value = params_unescape(part, arena);
        if (!name || !value)
            return rk_fail(err, RK_BAD_REQUEST, "a parameter is not well-formed");
        if (find(out, name)) {
            if (!out->repeated)
                out->repeated = name;
            continue;
        }
        if (out->n == PARAMS_MAX)
            return rk_fail(err, RK_BAD_REQUEST, "too many parameters");
        out->list[out->n].name = name;
        out->list[out->n++].value = value;
    }
    return 0;
}

const char *params_get(const struct params *p, const char *name)
{
    const char *value = find(p, name);

    return value && value[0] != '\0' ? value : NULL;
}

const char *params_text(const struct params *p, const char *name)
{
    const char *value = find(p, name);

    return value ? value : "";
}

bool params_is_form(const char *content_type)
{
    struct rk_str rest = rk_str(content_type), type;

    return rk_str_next(&rest, ';', &type) &&
           rk_str_ieq(rk_str_trim(type), RK_STR("application/x-www-form-urlencoded"));
}
