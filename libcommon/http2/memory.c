/*
 * Slots of five pages. The first page takes what is asked for first and is small, and then the
 * beginning of the first large block; what does not fit or comes later is the heap's. What lies in
 * the slot's first page is not used again before the session ends.
 *
 * Slots are made by the block and never go back to the heap. A few that were used are kept as they
 * are, the others keep nothing but their addresses.
 */

#include "libcommon/http2/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libcommon/base/alloc.h"

#define PAGE 4096u
#define SLOT ((size_t)5 * PAGE)
#define SMALL (PAGE - 128) /* nghttp2 1.52: its session and one table; then frames of 118 bytes */
#define LARGE (SLOT - SMALL)
#define LARGE_MIN ((size_t)2 * PAGE) /* less is not worth it */
#define ALIGN 16u
#define BLOCK 64u /* slots */
#define WARM 64u

static struct {
    pthread_mutex_t lock;
    void *warm[WARM];
    size_t warm_n;
    void **cold; /* room for all slots */
    size_t cold_n, slots;
} spare = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void let_pages_go(void *p, size_t n)
{
    (void)madvise(p, n, MADV_DONTNEED); /* refused: they stay */
}

static void add_block(void)
{
    uint8_t *p = aligned_alloc(PAGE, BLOCK * SLOT);

    if (!p)
        abort();                                     /* memory is out */
    (void)madvise(p, BLOCK * SLOT, MADV_NOHUGEPAGE); /* of these all pages are there, or none */
    let_pages_go(p, BLOCK * SLOT);
    spare.slots += BLOCK;
    spare.cold = rk_realloc(spare.cold, spare.slots * sizeof(*spare.cold));
    for (size_t i = BLOCK; i > 0; i--)
        spare.cold[spare.cold_n++] = p + (i - 1) * SLOT;
}

static void *slot_take(void)
{
    void *p;

    pthread_mutex_lock(&spare.lock);
    if (spare.warm_n == 0 && spare.cold_n == 0)
        add_block();
    p = spare.warm_n > 0 ? spare.warm[--spare.warm_n] : spare.cold[--spare.cold_n];
    pthread_mutex_unlock(&spare.lock);
    return p;
}

static void slot_give(void *p)
{
    pthread_mutex_lock(&spare.lock);
    if (spare.warm_n < WARM) {
        spare.warm[spare.warm_n++] = p;
    } else {
        let_pages_go(p, SLOT);
        spare.cold[spare.cold_n++] = p;
    }
    pthread_mutex_unlock(&spare.lock);
}

static bool in_slot(const struct rk_h2_memory *m, const void *p)
{
    return (uintptr_t)p - (uintptr_t)m->slot < SLOT;
}

/* NULL: has to come from the heap. */
static void *from_slot(struct rk_h2_memory *m, size_t n)
{
    uint8_t *p = m->slot + m->used;

    if (n <= SMALL - m->used) {
        m->used += (n + ALIGN - 1) / ALIGN * ALIGN;
        return p;
    }
    if (n < LARGE_MIN || n > LARGE || m->large)
        return NULL;
    m->large = true;
    return m->slot + SMALL;
}

static void *mem_malloc(size_t n, void *arg)
{
    void *p = from_slot(arg, n);

    return p ? p : rk_alloc(n);
}

static void *mem_calloc(size_t count, size_t size, void *arg)
{
    size_t n;
    void *p = __builtin_mul_overflow(count, size, &n) ? NULL : from_slot(arg, n);

    return p ? memset(p, 0, n) : rk_zalloc_array(count, size);
}

static void mem_free(void *p, void *arg)
{
    struct rk_h2_memory *m = arg;

    if (!in_slot(m, p))
        free(p);
    else if (p == m->slot + SMALL)
        m->large = false;
}

static void *mem_realloc(void *p, size_t n, void *arg)
{
    struct rk_h2_memory *m = arg;
    size_t most;
    void *q;

    if (!p)
        return mem_malloc(n, m);
    if (!in_slot(m, p))
        return rk_realloc(p, n);
    most = (size_t)(m->slot + SLOT - (uint8_t *)p); /* its own length is not known */
    q = rk_alloc(n);
    memcpy(q, p, n < most ? n : most);
    mem_free(p, m);
    return q;
}

nghttp2_mem rk_h2_memory_init(struct rk_h2_memory *m)
{
    *m = (struct rk_h2_memory){ .slot = slot_take() };
    return (nghttp2_mem){ m, mem_malloc, mem_free, mem_calloc, mem_realloc };
}

void rk_h2_memory_done(struct rk_h2_memory *m)
{
    slot_give(m->slot);
}
