#pragma once

/*
 * Errors. 0 is done, a negative rk_code goes up unchanged; struct rk_err is filled once, where the
 * failure arose. `err` may be NULL. The edge (gRPC, REST) turns the code into a status by table.
 * Any thread.
 */

#include "libcommon/base/attr.h"

enum rk_code {
    RK_OK = 0,
    RK_INVALID = -1,          /* malformed input; gRPC 3, REST 422 */
    RK_NOT_FOUND = -2,        /* gRPC 5, REST 404 */
    RK_EXISTS = -3,           /* gRPC 6, REST 409 */
    RK_DENIED = -4,           /* gRPC 7, REST 403 */
    RK_EXHAUSTED = -5,        /* a limit; gRPC 8, REST 429 */
    RK_PRECONDITION = -6,     /* gRPC 9, REST 412 */
    RK_UNIMPLEMENTED = -7,    /* gRPC 12, REST 501 */
    RK_INTERNAL = -8,         /* our bug; gRPC 13, REST 500 */
    RK_UNAVAILABLE = -9,      /* a dependency is away, try again; gRPC 14, REST 503 */
    RK_UNAUTHENTICATED = -10, /* gRPC 16, REST 401 */
    RK_BAD_REQUEST = -11,     /* unreadable request; gRPC 3, REST 400 */
    RK_CONFLICT = -12,        /* serialization failure or deadlock: retry the transaction */
};

struct rk_err {
    int code;
    char msg[512];
};

/* Fills *err (if any) and returns `code`, so that a caller writes `return rk_fail(err, RK_DENIED,
 * "...")`. */
int rk_fail(struct rk_err *err, int code, const char *fmt, ...) RK_PRINTF(3, 4);
