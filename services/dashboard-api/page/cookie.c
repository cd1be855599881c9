/* See cookie.h. */

#include "services/dashboard-api/page/cookie.h"

#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"

#define PAGE_COOKIE "netbird-page"
#define PAGE_COOKIE_BYTES 32

/* "name=value" among those that `text` joins by "; ". */
static bool find(struct rk_str text, const char *name, struct rk_str *out)
{
    struct rk_str part;

    while (rk_str_next(&text, ';', &part)) {
        struct rk_str key;

        part = rk_str_trim(part);
        if (rk_str_next(&part, '=', &key) && rk_str_eq(key, rk_str(name))) {
            *out = part;
            return true;
        }
    }
    return false;
}

const char *cookie_get(struct call *c, const char *name)
{
    struct rk_str value;

    /* What this answer sets is what the browser has next. */
    for (unsigned i = c->headers_n; i-- > 0;) {
        struct rk_str rest = rk_str(c->header[i].value), first;

        if (strcmp(c->header[i].name, "Set-Cookie") == 0 && rk_str_next(&rest, ';', &first) &&
            find(first, name, &value))
            return value.n > 0 ? rk_arena_strn(c->arena, value) : NULL;
    }
    if (!find(rk_str(c->head.cookie), name, &value) || value.n == 0)
        return NULL;
    return rk_arena_strn(c->arena, value);
}

void cookie_set(struct call *c, const char *name, const char *value, int64_t max_age_s)
{
    const char *age = max_age_s == COOKIE_OF_SESSION
                          ? ""
                          : rk_arena_printf(c->arena, "; Max-Age=%lld", (long long)max_age_s);

    call_header(c, "Set-Cookie",
                rk_arena_printf(c->arena, "%s=%s; Path=/oauth2; HttpOnly; SameSite=Lax%s%s", name,
                                value, cookie_secure(c) ? "; Secure" : "", age));
}

static bool well_formed(const char *value)
{
    uint8_t bytes[PAGE_COOKIE_BYTES];
    size_t n;

    return rk_b64url_decode(rk_str(value), bytes, sizeof(bytes), &n) && n == sizeof(bytes);
}

const char *cookie_page(struct call *c)
{
    const char *have = cookie_get(c, PAGE_COOKIE);

    return have && well_formed(have) ? have : NULL;
}

const char *cookie_page_make(struct call *c)
{
    const char *have = cookie_page(c);
    char *value;

    if (have)
        return have;
    value = rk_arena_alloc(c->arena, RK_RANDOM_TEXT_LEN + 1);
    rk_random_text(value);
    cookie_set(c, PAGE_COOKIE, value, COOKIE_OF_SESSION);
    return value;
}

const char *cookie_origin(const struct call *c)
{
    return c->config->oidc.public_url;
}

bool cookie_secure(const struct call *c)
{
    return rk_str_starts(rk_str(cookie_origin(c)), RK_STR("https://"));
}
