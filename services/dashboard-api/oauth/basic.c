/* See basic.h. */

#include "services/dashboard-api/oauth/basic.h"

#include "libcommon/base/encode.h"
#include "services/dashboard-api/oauth/params.h"

enum basic_outcome basic_parse(struct rk_str header,
                               struct rk_arena *arena,
                               const char **out_id,
                               const char **out_secret)
{
    struct rk_str rest = rk_str_trim(header), scheme, id;
    const char *a, *b;
    char *plain;
    size_t n;

    if (!rk_str_next(&rest, ' ', &scheme) || !rk_str_ieq(scheme, RK_STR("Basic")))
        return BASIC_ABSENT;
    rest = rk_str_trim(rest);
    if (rest.n == 0 || rest.n > BASIC_MAX)
        return BASIC_BAD;
    plain = rk_arena_alloc(arena, rest.n);
    if (!rk_b64_decode(rest, plain, rest.n, &n) || !memchr(plain, ':', n))
        return BASIC_BAD;
    rest = rk_strn(plain, n);
    (void)rk_str_next(&rest, ':', &id);
    a = params_unescape(id, arena);
    b = params_unescape(rest, arena);
    if (!a || !b || a[0] == '\0')
        return BASIC_BAD;
    *out_id = a;
    *out_secret = b;
    return BASIC_GIVEN;
}
