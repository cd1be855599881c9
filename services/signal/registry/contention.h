#pragma once

/*
 * Contention: two living agents with one key (a cloned disk) evict each other as fast as they
 * reconnect. Each eviction by a stream from another address is noted here; beyond ten a minute
 * a newcomer waits for its turn, 30 s at most, while whoever holds the key keeps it. One agent
 * that reconnects, however often, comes from one address and never waits.
 *
 * At most CONTENTION_MAX keys are watched; past that the record begins anew, which lets the next
 * ten evictions of a key through. Loop thread only.
 */

#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/str.h"

#define CONTENTION_MAX 4096
#define CONTENTION_BURST 10
#define CONTENTION_EACH_MS 6000
#define CONTENTION_MAX_WAIT_MS 30000

struct contention;

struct contention *contention_new(void);
void contention_free(struct contention *c);
RK_DEFINE_AUTO(struct contention, contention_free)

void contention_note(struct contention *c, struct rk_str key, uint64_t now_ms);
/* How long a newcomer of the key has to wait; 0 nearly always. */
uint64_t contention_delay_ms(const struct contention *c, struct rk_str key, uint64_t now_ms);
