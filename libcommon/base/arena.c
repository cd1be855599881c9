#include "libcommon/base/arena.h"

/* Chunks in a list, newest first; a large request gets a chunk of its own. The bound counts what
 * was asked for. */

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"

#define ALIGN 16
#define FIRST_CHUNK (1024 - sizeof(struct chunk)) /* whole, it is what malloc has at hand */
#define LARGEST_CHUNK ((size_t)64 * 1024)

struct chunk {
    struct chunk *next;
    size_t cap;
    _Alignas(ALIGN) uint8_t p[];
};

struct rk_arena {
    struct chunk *chunks;
    size_t used; /* of the first chunk */
    size_t total;
    size_t max;
    size_t next_chunk;
    ProtobufCAllocator protobuf;
};

static void *protobuf_alloc(void *data, size_t n)
{
    return rk_arena_try_alloc(data, n);
}

static void protobuf_free(void *data, void *p)
{
    (void)data;
    (void)p;
}

struct rk_arena *rk_arena_new(size_t max_bytes)
{
    struct rk_arena *a = rk_new(struct rk_arena);

    a->max = max_bytes;
    a->next_chunk = FIRST_CHUNK;
    a->protobuf = (ProtobufCAllocator){ protobuf_alloc, protobuf_free, a };
    return a;
}

void rk_arena_free(struct rk_arena *a)
{
    struct chunk *c, *next;

    if (!a)
        return;
    for (c = a->chunks; c; c = next) {
        next = c->next;
        free(c);
    }
    free(a);
}

static void *from_own_chunk(struct rk_arena *a, size_t n)
{
    struct chunk *c = rk_alloc(sizeof(*c) + n);

    c->cap = n;
    if (a->chunks) { /* stays behind the chunk in use */
        c->next = a->chunks->next;
        a->chunks->next = c;
    } else {
        c->next = NULL;
        a->chunks = c;
        a->used = n;
    }
    return c->p;
}

void *rk_arena_try_alloc(struct rk_arena *a, size_t n)
{
    struct chunk *c;
    void *p;

    if (n > a->max || n > SIZE_MAX - ALIGN)
        return NULL;
    n = n == 0 ? ALIGN : (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (n > a->max || a->total > a->max - n)
        return NULL;
    a->total += n;
    if (a->chunks && n <= a->chunks->cap - a->used) {
        p = a->chunks->p + a->used;
        a->used += n;
        return p;
    }
    if (n > a->next_chunk / 2)
        return from_own_chunk(a, n);
    c = rk_alloc(sizeof(*c) + a->next_chunk);
    c->cap = a->next_chunk;
    c->next = a->chunks;
    a->chunks = c;
    a->used = n;
    if (a->next_chunk < LARGEST_CHUNK)
        a->next_chunk *= 2;
    return c->p;
}

void *rk_arena_alloc(struct rk_arena *a, size_t n)
{
    void *p = rk_arena_try_alloc(a, n);

    if (!p) {
        (void)fputs("arena bound reached by our own allocation\n", stderr);
        abort();
    }
    memset(p, 0, n);
    return p;
}

char *rk_arena_strdup(struct rk_arena *a, const char *s)
{
    return rk_arena_strn(a, rk_str(s));
}

char *rk_arena_strn(struct rk_arena *a, struct rk_str s)
{
    char *q = rk_arena_alloc(a, s.n + 1);

    if (s.n > 0)
        memcpy(q, s.p, s.n);
    return q;
}

char *rk_arena_printf(struct rk_arena *a, const char *fmt, ...)
{
    char *text = NULL, *q;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        abort();
    q = rk_arena_alloc(a, (size_t)n + 1);
    memcpy(q, text, (size_t)n);
    free(text);
    return q;
}

ProtobufCAllocator *rk_arena_protobuf(struct rk_arena *a)
{
    return &a->protobuf;
}
