#pragma once

/*
 * The client's side of WebSocket (RFC 6455), as much of it as a load generator and a probe need.
 * Pure functions; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/str.h"

#define RK_WS_REQUEST_MAX 512

/* The request that opens one, always with the same key; its length, or 0 when it is too long. */
size_t rk_ws_request(const char *path, const char *authority, char out[RK_WS_REQUEST_MAX]);
/* Whether an answer's header, which ends with an empty line, opens it. */
bool rk_ws_accepted(struct rk_str header);

#define RK_WS_MASKED_HEAD 8

/* A masked binary frame around n < 65,536 bytes, always under the same mask; its length, n and
 * RK_WS_MASKED_HEAD at most. */
size_t rk_ws_masked(const uint8_t *p, size_t n, uint8_t *out);

/* The length of the whole, unmasked frame of at most `max` bytes of payload that p[0..n) begins
 * with, and where its payload begins; 0: not there yet; SIZE_MAX: no such frame. */
size_t rk_ws_server_frame(const uint8_t *p, size_t n, size_t max, size_t *out_head);
