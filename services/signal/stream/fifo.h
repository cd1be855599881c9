#pragma once

/*
 * Messages waiting for one destination, in order of arrival. At most 256 messages or 2 MiB (one
 * larger message is taken when the queue is empty); a push past that drops the new one. Loop thread
 * only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/bytes.h"
#include "libcommon/base/list.h"

#define FIFO_MAX_MESSAGES 256
#define FIFO_MAX_BYTES ((size_t)2 * 1024 * 1024)
#define FIFO_MAX_AGE_MS 15000 /* the agent has offered again by then */

struct fifo {
    struct rk_list items;
    size_t count, bytes;
};

void fifo_init(struct fifo *f);
void fifo_done(struct fifo *f);
/* Takes its own reference; false at the bound. */
bool fifo_push(struct fifo *f, struct rk_bytes *frame, uint64_t now_ms) RK_CHECKED;
/* The oldest frame that is still worth sending, whose reference the caller gets; NULL when empty.
 * *expired counts the frames that were too old. */
struct rk_bytes *fifo_pop(struct fifo *f, uint64_t now_ms, unsigned *expired);
