#pragma once

/*
 * Entity tags: strong, made of the bytes of the answer, so that every replica gives the same one
 * for the same answer. Any thread.
 */

#include <stdbool.h>

#include "libcommon/base/str.h"

#define ETAG_LEN 34 /* 32 hex digits in quotes */

void etag_of(struct rk_str body, char out[ETAG_LEN + 1]);

/*
 * Whether a list from If-Match or If-None-Match ("a", W/"b" or *) names the tag. A weak one counts
 * only when `weak_too`, which is how If-None-Match compares.
 */
bool etag_listed(struct rk_str list, const char *etag, bool weak_too);
