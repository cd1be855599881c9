#include "libcommon/admin/request.h"

/* Only the request line means anything here; header fields are skipped and a body is never read. */

static bool token_char(char c)
{
    return c > ' ' && c < 0x7f;
}

enum rk_admin_parsed rk_admin_request_parse(struct rk_str in, struct rk_admin_request *out)
{
    struct rk_str line, method, target, path;
    const char *eol = in.n > 0 ? memchr(in.p, '\n', in.n) : NULL;

    /* A first line that cannot become a request is refused before its end is seen. */
    for (size_t i = 0; i < in.n && i < 8 && in.p[i] != ' '; i++)
        if (in.p[i] < 'A' || in.p[i] > 'Z')
            return RK_ADMIN_BAD;
    if (!eol)
        return RK_ADMIN_MORE;
    line = rk_strn(in.p, (size_t)(eol - in.p));
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (!rk_str_next(&line, ' ', &method) || method.n == 0 || !rk_str_next(&line, ' ', &target) ||
        target.n == 0 || target.p[0] != '/')
        return RK_ADMIN_BAD;
    if (!line.p || line.n != 8 || !rk_str_starts(line, RK_STR("HTTP/1.")))
        return RK_ADMIN_BAD;
    for (size_t i = 0; i < target.n; i++)
        if (!token_char(target.p[i]))
            return RK_ADMIN_BAD;
    if (!memmem(in.p, in.n, "\r\n\r\n", 4) && !memmem(in.p, in.n, "\n\n", 2))
        return RK_ADMIN_MORE;
    (void)rk_str_next(&target, '?', &path);
    *out = (struct rk_admin_request){ method, path };
    return RK_ADMIN_READY;
}
