#include "libcommon/base/spare.h"

/* A list for each size. A quarter of a power of two lies between one size and the next, so that at
 * most a fifth of a block is not used. */

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"

enum {
    QUARTERS = 4,
    SIZES = 11 * QUARTERS
};

struct block {
    struct block *next;
};

static struct {
    pthread_mutex_t lock;
    struct block *v[SIZES];
} spare = { .lock = PTHREAD_MUTEX_INITIALIZER };

static size_t room_of(size_t size)
{
    return (RK_SPARE_MIN / QUARTERS * (QUARTERS + size % QUARTERS)) << size / QUARTERS;
}

static size_t size_of(size_t n)
{
    size_t size = 0;

    assert(n <= RK_SPARE_MAX);
    while (room_of(size) < n)
        size++;
    return size;
}

void *rk_spare_take(size_t n, size_t *out_room)
{
    size_t size = size_of(n);
    struct block *b;

    *out_room = room_of(size);
    pthread_mutex_lock(&spare.lock);
    b = spare.v[size];
    if (b)
        spare.v[size] = b->next;
    pthread_mutex_unlock(&spare.lock);
    return b ? b : rk_alloc(*out_room);
}

void rk_spare_give(void *p, size_t room)
{
    size_t size = size_of(room);
    struct block *b = p;

    pthread_mutex_lock(&spare.lock);
    b->next = spare.v[size];
    spare.v[size] = b;
    pthread_mutex_unlock(&spare.lock);
}

void rk_spare_drop(void)
{
    for (size_t size = 0; size < SIZES; size++) {
        struct block *b, *next;

        pthread_mutex_lock(&spare.lock);
        b = spare.v[size];
        spare.v[size] = NULL;
        pthread_mutex_unlock(&spare.lock);
        for (; b; b = next) {
            next = b->next;
            free(b);
        }
    }
}
