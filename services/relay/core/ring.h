#pragma once

/*
 * Ring of records from one thread to one other: no lock, each side writes only its own position.
 * Records are contiguous and 8-byte aligned. Bounded: a record that does not fit is refused and the
 * producer decides.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring;

struct ring *ring_new(size_t bytes); /* a power of two */
void ring_free(struct ring *r);

/* Producer: room for n bytes (at most an eighth of the ring), or NULL when full; seen by the
 * consumer after ring_push. */
void *ring_reserve(struct ring *r, size_t n);
void ring_push(struct ring *r, size_t n); /* the n of ring_reserve */

/* Consumer: the oldest record (NULL when empty), valid until ring_pop. */
void *ring_peek(struct ring *r, size_t *out_n);
void ring_pop(struct ring *r);
bool ring_empty(const struct ring *r); /* consumer's view */
