#pragma once

/* Percent-encoding of grpc-message: printable ASCII but '%' stays, every other byte becomes %XX.
 * Any thread. */

#include "libcommon/base/str.h"

/* Never NULL; longer texts are cut at `max_bytes` of output. Free with free(). */
char *rk_percent_encode(const char *text, size_t max_bytes);
/* Broken escapes stay as they are. Free with free(). */
char *rk_percent_decode(struct rk_str s);
