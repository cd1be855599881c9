#pragma once

/*
 * Arena: memory for one call, freed whole at the reply. Also the allocator behind protobuf-c
 * decoding, so a decoded message needs no free_unpacked. Not shared between threads.
 */

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/str.h"

struct rk_arena;

/* `max_bytes` bounds the sum of all allocations; past it rk_arena_try_alloc and protobuf decoding
 * return NULL. */
struct rk_arena *rk_arena_new(size_t max_bytes);
void rk_arena_free(struct rk_arena *a);
RK_DEFINE_AUTO(struct rk_arena, rk_arena_free)

void *rk_arena_alloc(struct rk_arena *a, size_t n)
    __attribute__((returns_nonnull));                   /* aborts at the bound; cleared */
void *rk_arena_try_alloc(struct rk_arena *a, size_t n); /* NULL at the bound; not cleared */
char *rk_arena_strdup(struct rk_arena *a, const char *s);
char *rk_arena_strn(struct rk_arena *a, struct rk_str s); /* NUL-terminated copy */
char *rk_arena_printf(struct rk_arena *a, const char *fmt, ...) RK_PRINTF(2, 3);

/* Lives as long as the arena. */
ProtobufCAllocator *rk_arena_protobuf(struct rk_arena *a);
