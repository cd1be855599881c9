/* See target.h. */

#include "services/dashboard-api/oauth/target.h"

static void put_escaped(struct rk_buf *out, const char *s)
{
    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                     (ch >= '0' && ch <= '9') || ch == '-' || ch == '.' || ch == '_' || ch == '~';

        if (plain)
            rk_buf_put_u8(out, ch);
        else
            rk_buf_printf(out, "%%%02X", ch);
    }
}

void target_put(struct rk_buf *out, const char *name, const char *value)
{
    if (!value || value[0] == '\0')
        return;
    rk_buf_put_c(out, out->n > 0 && memchr(out->p, '?', out->n) ? "&" : "?");
    rk_buf_put_c(out, name);
    rk_buf_put_c(out, "=");
    put_escaped(out, value);
}
