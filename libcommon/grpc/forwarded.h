#pragma once

/* X-Forwarded-For: which address is the client's. Pure functions. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "libcommon/base/str.h"
#include "libcommon/conf/addr.h"

/* The nearest hop of the headers' values, in their order, that is not a proxy of ours. What cannot
 * be read ends the walk: beyond it anything may have been made up. False, and *out untouched: none
 * was named. */
bool rk_grpc_forwarded(const struct rk_str *values,
                       size_t count,
                       const struct rk_cidrs *trusted,
                       struct sockaddr_storage *out);
