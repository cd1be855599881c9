/* See scope.h. */

#include "services/dashboard-api/oauth/scope.h"

#include "libcommon/base/buf.h"

#define MAX_TEXT 128

static const struct {
    const char *name;
    unsigned bit; /* 0: passed over */
} words[] = {
    { "openid", SCOPE_OPENID }, { "profile", SCOPE_PROFILE },        { "email", SCOPE_EMAIL },
    { "groups", SCOPE_GROUPS }, { "offline_access", SCOPE_OFFLINE }, { "api", 0 },
    { "email_verified", 0 },
};

bool scope_parse(struct rk_str text, unsigned *out)
{
    unsigned set = 0;
    struct rk_str word;

    while (rk_str_next(&text, ' ', &word)) {
        size_t i = 0;

        if (word.n == 0)
            continue;
        while (i < RK_COUNT(words) && !rk_str_eq(word, rk_str(words[i].name)))
            i++;
        if (i == RK_COUNT(words))
            return false;
        set |= words[i].bit;
    }
    *out = set;
    return true;
}

const char *scope_text(unsigned set, struct rk_arena *arena)
{
    rk_auto(rk_buf_done) struct rk_buf text = { .max = MAX_TEXT };

    for (size_t i = 0; i < RK_COUNT(words); i++)
        if (set & words[i].bit)
            rk_buf_printf(&text, "%s%s", text.n > 0 ? " " : "", words[i].name);
    return rk_arena_strn(arena, rk_buf_str(&text));
}
