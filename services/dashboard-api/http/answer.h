#pragma once

/* From the outcome of a handler to status and body: one table. Any thread. */

#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"

/* HTTP status of a negative rk_code. */
unsigned answer_status(int code);
/* Replaces *out by {"message":...,"code":...} and a newline, and returns the status. */
unsigned answer_error(const struct rk_err *err, struct rk_buf *out);
