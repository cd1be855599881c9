#pragma once

/*
 * Immutable counted bytes: one encoded message may sit in many streams' queues. The count is
 * atomic; the bytes never change after rk_bytes_new returns to more than one owner.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/str.h"

struct rk_bytes {
    _Atomic unsigned refs;
    size_t n;
    size_t room; /* of the spare block that it is (spare.h); 0: it is none */
    uint8_t p[];
};

struct rk_bytes *
rk_bytes_new(size_t n); /* uninitialised content, one reference; the creator fills it */
/* The same where many, of whatever size, are needed at once and soon again: large ones are spare
 * blocks (spare.h). */
struct rk_bytes *rk_bytes_new_spare(size_t n);
struct rk_bytes *rk_bytes_copy(struct rk_str s);
struct rk_bytes *rk_bytes_ref(struct rk_bytes *b);
void rk_bytes_unref(struct rk_bytes *b);
RK_DEFINE_AUTO(struct rk_bytes, rk_bytes_unref)
