#include "libcommon/grpc/forwarded.h"

#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

static bool parse_ip(struct rk_str s, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    char text[64];

    memset(out, 0, sizeof(*out));
    s = rk_str_trim(s);
    if (s.n > 1 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        s = rk_strn(s.p + 1, s.n - 2);
    if (!rk_str_copy(s, text, sizeof(text)))
        return false;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        return true;
    }
    return false;
}

static struct rk_str last_part(struct rk_str *rest)
{
    size_t i = rest->n;
    struct rk_str part;

    while (i > 0 && rest->p[i - 1] != ',')
        i--;
    part = rk_strn(rest->p + i, rest->n - i);
    *rest = i > 0 ? rk_strn(rest->p, i - 1) : (struct rk_str){ NULL, 0 };
    return part;
}

bool rk_grpc_forwarded(const struct rk_str *values,
                       size_t count,
                       const struct rk_cidrs *trusted,
                       struct sockaddr_storage *out)
{
    struct sockaddr_storage ss;
    bool any = false;

    while (count-- > 0) {
        struct rk_str rest = values[count];

        while (rest.p) {
            if (!parse_ip(last_part(&rest), &ss))
                return any;
            *out = ss;
            any = true;
            if (!rk_cidrs_contains(trusted, (struct sockaddr *)&ss))
                return true;
        }
    }
    return any;
}
