#pragma once

/*
 * gRPC message framing: 1 byte compressed flag, 4 bytes length, payload. The decoder knows the
 * limit before it buffers: an oversized or compressed message fails at its fifth byte. Not shared
 * between threads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/bytes.h"
#include "libcommon/base/str.h"

#define RK_GRPC_FRAME_HEAD 5

struct rk_grpc_frame {
    struct rk_buf buf; /* head and payload so far, of the message being read */
    size_t max;
    size_t need; /* whole frame; 0 until the head is complete */
};

enum rk_grpc_frame_result {
    RK_GRPC_FRAME_MORE,       /* everything was eaten; the message is not complete */
    RK_GRPC_FRAME_MESSAGE,    /* *out_msg; call again with the rest */
    RK_GRPC_FRAME_COMPRESSED, /* flag 1; UNIMPLEMENTED */
    RK_GRPC_FRAME_INVALID,    /* flag above 1; INTERNAL */
    RK_GRPC_FRAME_TOO_BIG,    /* RESOURCE_EXHAUSTED */
};

void rk_grpc_frame_init(struct rk_grpc_frame *f, size_t max_message);
void rk_grpc_frame_done(struct rk_grpc_frame *f);
/*
 * Eats from *p, *n. `keep`: the message is to outlive *p, so it is always copied. *out_msg is valid
 * until the next call or rk_grpc_frame_clear, and 5 bytes before it stands its head.
 */
enum rk_grpc_frame_result rk_grpc_frame_feed(
    struct rk_grpc_frame *f, const uint8_t **p, size_t *n, bool keep, struct rk_str *out_msg);
/* Frees the buffer of a message that was taken. */
void rk_grpc_frame_clear(struct rk_grpc_frame *f);
bool rk_grpc_frame_partial(const struct rk_grpc_frame *f); /* in the middle of a message */

/* A framed copy of `msg`. */
struct rk_bytes *rk_grpc_frame_make(struct rk_str msg);
