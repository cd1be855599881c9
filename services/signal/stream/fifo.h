#pragma once

/*
 * Messages waiting for one destination, in order of arrival. At most 256 messages or 2 MiB (one
 * larger message is taken when the queue is empty), and no more in all queues together than their
 * budget; a push past that drops the new one. Loop thread only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/bytes.h"
#include "libcommon/base/list.h"

#define FIFO_MAX_MESSAGES 256
#define FIFO_MAX_BYTES ((size_t)2 * 1024 * 1024)
#define FIFO_MAX_AGE_MS 15000 /* the agent has offered again by then */

/* What many queues may hold together. */
struct fifo_budget {
    size_t bytes, max_bytes;
};

struct fifo {
    struct fifo_budget *budget;
    struct rk_list items;
    size_t count, bytes;
};

void fifo_init(struct fifo *f, struct fifo_budget *budget); /* `budget` outlives it */
void fifo_done(struct fifo *f);
/* Takes its own reference; false at a bound. */
bool fifo_push(struct fifo *f, struct rk_bytes *frame, uint64_t now_ms) RK_CHECKED;
/* The oldest frame that is still worth sending, whose reference the caller gets; NULL when empty.
 * *expired counts the frames that were too old, *out_waited_ms is this one's age. */
struct rk_bytes *
fifo_pop(struct fifo *f, uint64_t now_ms, unsigned *expired, uint64_t *out_waited_ms);
