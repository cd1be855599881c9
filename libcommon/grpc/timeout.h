#pragma once

/* grpc-timeout: 1 to 8 digits and a unit (H M S m u n). Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/str.h"

/* Milliseconds, rounded up; false when malformed. */
bool rk_grpc_timeout_parse(struct rk_str s, uint64_t *out_ms);
#define RK_GRPC_TIMEOUT_LEN 16
void rk_grpc_timeout_format(uint64_t ms, char out[RK_GRPC_TIMEOUT_LEN]);
