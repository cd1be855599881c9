#pragma once

/*
 * A relay connection of an agent, as bare as a load generator wants it: a stream that has done the
 * WebSocket upgrade and AUTH, and whole masked TRANSPORT frames to write to it. Or, for the
 * reference loop, a stream with a header of four bytes in place of all that. One thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/relay/wire/message.h"
#include "tests/bench/lib/wire.h"

#define WS_PAYLOAD 1400
#define WS_FRAME_OUT (8 + RELAY_HEAD_LEN + WS_PAYLOAD) /* to the server: masked */
#define WS_FRAME_IN (4 + RELAY_HEAD_LEN + WS_PAYLOAD)
#define RAW_HEADER 4 /* receiver's number and length, 16 bits each, little-endian */
#define RAW_FRAME (RAW_HEADER + RELAY_HEAD_LEN + WS_PAYLOAD)
_Static_assert(RAW_FRAME == WS_FRAME_IN, "the reference writes as many bytes as a relay does");

/* Upgrade and AUTH with a token of `secret`; returns when the relay has accepted. */
void ws_login(struct wire *w, const struct relay_id *id, const char *secret);
/* WS_FRAME_OUT bytes. */
void ws_transport_frame(const struct relay_id *to, uint8_t *out);
/* False when p[0..WS_FRAME_IN) is no such frame that came from `from`. */
bool ws_transport_arrived(const uint8_t *p, const struct relay_id *from);
/* "sha-" and 32 bytes that are this number's and this process's alone. */
void ws_id(struct relay_id *id, uint32_t number);
