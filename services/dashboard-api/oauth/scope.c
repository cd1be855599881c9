/* See scope.h. */

#include "services/dashboard-api/oauth/scope.h"

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

void scope_write(unsigned set, struct rk_buf *out)
{
    bool first = true;

    for (size_t i = 0; i < RK_COUNT(words); i++) {
        if (!(set & words[i].bit))
            continue;
        rk_buf_printf(out, "%s%s", first ? "" : " ", words[i].name);
        first = false;
    }
}
