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

const char *rk_code_name(int code)
{
    static const char *const names[] = {
        "OK",       "INVALID",     "NOT_FOUND",       "EXISTS",
        "DENIED",   "EXHAUSTED",   "PRECONDITION",    "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "UNAUTHENTICATED", "BAD_REQUEST",
        "CONFLICT",
    };

    if (code > 0 || code <= -(int)RK_COUNT(names))
        return "UNKNOWN";
    return names[-code];
}
