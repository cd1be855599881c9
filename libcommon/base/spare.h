#pragma once

/*
 * Spare: large blocks that were needed for a moment and will be again, kept from one rush to the
 * next. Fresh pages cost more than most uses of them, and the heap gives large free pieces back to
 * the system by itself. Blocks are of a few sizes, the one that was given up last goes out first.
 * Unbounded: somebody calls rk_spare_drop every few seconds. Any thread.
 */

#include <stddef.h>

#define RK_SPARE_MIN (16u * 1024)
#define RK_SPARE_MAX (28u * 1024 * 1024)

/* `n` bytes of RK_SPARE_MIN to RK_SPARE_MAX. Never NULL; *out_room is what there is of them. */
void *rk_spare_take(size_t n, size_t *out_room) __attribute__((returns_nonnull));
void rk_spare_give(void *p, size_t room); /* as it came */
/* All go back to the heap. */
void rk_spare_drop(void);
