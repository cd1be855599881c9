#pragma once

/*
 * Messages a call has not yet handed to its connection: counted bytes in order, so that one encoded
 * frame may wait in many calls. Unbounded here: the owner of the call watches rk_grpc_queued. Loop
 * thread only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/bytes.h"

struct rk_grpc_chunk;

struct rk_grpc_outq {
    struct rk_grpc_chunk *head;
    struct rk_grpc_chunk *tail;
    size_t off;   /* of the head, gone already */
    size_t bytes; /* still here */
};

void rk_grpc_outq_done(struct rk_grpc_outq *q);
void rk_grpc_outq_add(struct rk_grpc_outq *q, struct rk_bytes *b); /* takes over the reference */
/* Writes the first n bytes (there are that many) and forgets them. */
void rk_grpc_outq_take(struct rk_grpc_outq *q,
                       size_t n,
                       void (*write)(void *arg, const void *p, size_t n),
                       void *arg);
/* Keeps only the messages that hold the first `keep` bytes. */
void rk_grpc_outq_trim(struct rk_grpc_outq *q, size_t keep);
