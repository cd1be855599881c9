#pragma once

/*
 * WebSocket framing (RFC 6455), the server's side: what a client sends is masked, what we send is
 * not. The rules say what else is allowed. Pure functions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/err.h"

enum rk_ws_kind {
    RK_WS_MORE, /* not complete yet */
    RK_WS_BINARY,
    RK_WS_TEXT,
    RK_WS_CONTINUATION,
    RK_WS_PING,
    RK_WS_PONG,
    RK_WS_CLOSE,
    RK_WS_BAD, /* close the connection; err says why */
};

#define RK_WS_MAX_HEAD 14
#define RK_WS_MAX_CONTROL 125

struct rk_ws_rules {
    size_t max_bytes; /* of the payload of one frame */
    /* A message is one final, not empty, binary frame: text and fragments are errors. */
    bool only_whole_binary;
};

struct rk_ws_head {
    size_t n;    /* bytes of the payload */
    size_t used; /* bytes of the header */
    uint8_t mask[4];
    bool fin;
};

/* Reads the header p[0..n) begins with. A bad one is RK_WS_BAD as soon as it can be seen. */
enum rk_ws_kind rk_ws_head_parse(const uint8_t *p,
                                 size_t n,
                                 const struct rk_ws_rules *rules,
                                 struct rk_ws_head *out,
                                 struct rk_err *err);

struct rk_ws_frame {
    const uint8_t *payload; /* still masked */
    size_t n;
    uint8_t mask[4];
    size_t whole; /* bytes of the frame with its header */
};

/* The same for a frame with all of its payload. */
enum rk_ws_kind rk_ws_frame_parse(const uint8_t *p,
                                  size_t n,
                                  const struct rk_ws_rules *rules,
                                  struct rk_ws_frame *out,
                                  struct rk_err *err);

/* out[i] = in[i] ^ mask[(i + phase) % 4]; `out` may equal `in`. */
void rk_ws_mask(uint8_t *out, const uint8_t *in, size_t n, const uint8_t mask[4], size_t phase);

enum rk_ws_opcode {
    RK_WS_OP_CONTINUATION = 0,
    RK_WS_OP_TEXT = 1,
    RK_WS_OP_BINARY = 2,
    RK_WS_OP_CLOSE = 8,
    RK_WS_OP_PING = 9,
    RK_WS_OP_PONG = 10,
};

#define RK_WS_MAX_SERVER_HEADER 4

/* Header of an unmasked, final frame of n <= 65535 bytes; returns its length, 2 or 4. */
size_t rk_ws_header(enum rk_ws_opcode op, size_t n, uint8_t out[RK_WS_MAX_SERVER_HEADER]);
