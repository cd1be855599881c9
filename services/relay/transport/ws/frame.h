#pragma once

/*
 * WebSocket framing (RFC 6455) as far as a relay allows it: what a client sends is masked, and a
 * message is one final binary frame of 1 to 8820 bytes. Text, empty, fragmented, longer and
 * unmasked frames are errors. Pure functions.
 */

#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/err.h"

enum ws_kind {
    WS_MORE, /* not a whole frame yet */
    WS_MESSAGE,
    WS_PING,
    WS_PONG,
    WS_CLOSE,
    WS_BAD, /* close the connection; err says why */
};

#define WS_MAX_CLIENT_HEADER 8 /* for the lengths allowed here */
#define WS_MAX_SERVER_HEADER 4
#define WS_MAX_CONTROL 125

struct ws_frame {
    const uint8_t *payload; /* still masked */
    size_t n;
    uint8_t mask[4];
    size_t whole; /* bytes of the frame with its header */
};

/* Looks at the first frame of p[0..n). A bad header is WS_BAD as soon as it can be seen. */
enum ws_kind ws_frame_parse(const uint8_t *p, size_t n, struct ws_frame *out, struct rk_err *err);

enum ws_opcode {
    WS_OP_BINARY = 2,
    WS_OP_CLOSE = 8,
    WS_OP_PING = 9,
    WS_OP_PONG = 10,
};

/* Header of an unmasked frame of n <= 8820 bytes; returns its length, 2 or 4. */
size_t ws_header(enum ws_opcode op, size_t n, uint8_t out[WS_MAX_SERVER_HEADER]);
