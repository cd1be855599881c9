#pragma once

/* Skew: how far another machine's clock is from this one's. */

#include <stdint.h>

#include "tools/doctor/check.h"

/* It said `theirs_us` between the two times of ours. What lies between them is not held against
 * it. */
void skew_judge(struct check *c, int64_t theirs_us, int64_t before_us, int64_t after_us);
