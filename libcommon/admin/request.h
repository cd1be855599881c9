#pragma once

/*
 * Request line and end of headers of an HTTP/1.x request, for the admin port. Knows no socket: it
 * is given all bytes that have arrived so far, each time. Any thread.
 */

#include <stdbool.h>

#include "libcommon/base/str.h"

#define RK_ADMIN_MAX_REQUEST 8192

enum rk_admin_parsed {
    RK_ADMIN_MORE,  /* the header has not ended yet */
    RK_ADMIN_READY, /* *out is filled */
    RK_ADMIN_BAD,   /* not HTTP/1.x */
};

struct rk_admin_request {
    struct rk_str method;
    struct rk_str path; /* without the query */
};

/* The strings of *out point into `in`. */
enum rk_admin_parsed rk_admin_request_parse(struct rk_str in, struct rk_admin_request *out);
