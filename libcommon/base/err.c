#include "libcommon/base/err.h"

/* One place fills an error, so that its shape never differs. */

#include <stdarg.h>
#include <stdio.h>

int rk_fail(struct rk_err *err, int code, const char *fmt, ...)
{
    va_list ap;

    if (err) {
        err->code = code;
        va_start(ap, fmt);
        (void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
        va_end(ap);
    }
    return code;
}
