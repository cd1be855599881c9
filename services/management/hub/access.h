#pragma once

/*
 * Access: whether a peer that exists may have a stream now. Its owner may be blocked or gone, its
 * login may have expired. Login and Sync answer the same, or an agent would go round between the
 * two. Pure, but for access_enforce, which is for the loop thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/snapshot/snapshot.h"

struct hub;

#define ACCESS_TEXT_MAX 320

/* RK_GRPC_OK, or the status to refuse with and its text. */
int access_check(const struct rk_snapshot *s,
                 size_t index,
                 int64_t now_us,
                 char out_text[ACCESS_TEXT_MAX]);

/* After the hub's snapshot took the delta in: ends the streams of those who may have none any more,
 * with status 0; their agents learn why from their next call. */
void access_enforce(struct hub *h, const struct rk_delta *d);
