#pragma once

/* From the outcome of a handler to status and body, in the form of the route's kind. Any thread. */

#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "services/dashboard-api/route/route.h"

/* Replaces *out by the error and returns the status. `accept_language`, which may be NULL, is for
 * what people read. */
unsigned answer_error(enum route_kind kind,
                      const struct rk_err *err,
                      const char *accept_language,
                      struct rk_buf *out);
/* An error of ROUTE_SCIM which no handler has made, in *out. */
void answer_scim(unsigned status, const char *text, struct rk_buf *out);
/* Content-Type of a kind's answers, errors too. */
const char *answer_type(enum route_kind kind);
