#pragma once

/* Clocks and RFC 3339. Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/str.h"

uint64_t rk_mono_ms(void);
uint64_t rk_mono_ns(void);
/* Whether this has not said so for `every_ms`, or never has (*last_ms is 0); notes that it has.
 * What a caller says once in a while depends on it. */
bool rk_due(uint64_t *last_ms, unsigned every_ms);
int64_t rk_wall_us(void); /* microseconds since 1970, UTC */
int64_t rk_wall_s(void);

#define RK_TIME_LEN 32
/* "2026-01-02T03:04:05.678901Z" (no fraction when 0); INT64_MIN gives "0001-01-01T00:00:00Z", the
 * unset time. */
void rk_time_format(int64_t us, char out[RK_TIME_LEN]);
bool rk_time_parse(struct rk_str s, int64_t *out_us);
#define RK_TIME_UNSET INT64_MIN
