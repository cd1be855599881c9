/* See familiar.h. The cookie is "<when it ends>.<hash>". */

#include "services/dashboard-api/login/familiar.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/encode.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "services/dashboard-api/login/guess.h"
#include "services/dashboard-api/page/cookie.h"

#define COOKIE "netbird-familiar"
#define LIFE_S (90 * 86400)

static const char *lower(struct call *c, const char *email)
{
    char *out = rk_arena_strdup(c->arena, email);

    for (char *p = out; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    return out;
}

/* NULL: there is no such key. */
static const char *cookie_of(struct call *c, unsigned which, const char *email, uint64_t until_s)
{
    const char *text = rk_arena_printf(c->arena, "familiar\n%llu\n%s", (unsigned long long)until_s,
                                       lower(c, email));
    uint8_t hash[RK_SEAL_MAC];
    char b64[RK_B64URL_LEN(sizeof(hash)) + 1];

    if (!rk_seal_mac(c->seal, which, rk_str(text), hash))
        return NULL;
    rk_b64url_encode(hash, sizeof(hash), b64);
    return rk_arena_printf(c->arena, "%llu.%s", (unsigned long long)until_s, b64);
}

void familiar_make(struct call *c, const char *email)
{
    cookie_set(c, COOKIE, cookie_of(c, 0, email, (uint64_t)rk_wall_s() + LIFE_S), LIFE_S);
}

bool familiar_is(struct call *c, const char *email)
{
    const char *cookie = cookie_get(c, COOKIE), *ours;
    struct rk_str rest, until;
    uint64_t until_s;

    if (!cookie)
        return false;
    rest = rk_str(cookie);
    if (!rk_str_next(&rest, '.', &until) || !rk_str_u64(until, &until_s) ||
        until_s <= (uint64_t)rk_wall_s())
        return false;
    for (unsigned i = 0; (ours = cookie_of(c, i, email, until_s)); i++)
        if (rk_const_eq_str(rk_str(cookie), rk_str(ours)))
            return true;
    return false;
}

int familiar_goes_first(struct call *c, const char *email, bool *out_first, struct rk_err *err)
{
    if (!familiar_is(c, email)) {
        *out_first = false;
        return 0;
    }
    return guess_try(c, GUESS_FAMILIAR_FIRST, lower(c, email), out_first, err);
}
