/* See target.h. */

#include "services/dashboard-api/oauth/target.h"

#include "libcommon/base/encode.h"

void target_put(struct rk_buf *out, const char *name, const char *value)
{
    if (!value || value[0] == '\0')
        return;
    rk_buf_put_c(out, out->n > 0 && memchr(out->p, '?', out->n) ? "&" : "?");
    rk_buf_put_c(out, name);
    rk_buf_put_c(out, "=");
    rk_url_put(out, rk_str(value));
}
