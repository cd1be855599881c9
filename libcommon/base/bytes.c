#include "libcommon/base/bytes.h"

/* The count is relaxed on the way up (a holder exists) and acquire-release on the way down (the
 * last one frees). */

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/spare.h"

static struct rk_bytes *begin(struct rk_bytes *b, size_t n, size_t room)
{
    atomic_init(&b->refs, 1);
    b->n = n;
    b->room = room;
    return b;
}

struct rk_bytes *rk_bytes_new(size_t n)
{
    return begin(rk_alloc(sizeof(struct rk_bytes) + n), n, 0);
}

struct rk_bytes *rk_bytes_new_spare(size_t n)
{
    size_t room = sizeof(struct rk_bytes) + n;
    void *p;

    if (room < RK_SPARE_MIN || room > RK_SPARE_MAX)
        return rk_bytes_new(n);
    p = rk_spare_take(room, &room);
    return begin(p, n, room);
}

struct rk_bytes *rk_bytes_copy(struct rk_str s)
{
    struct rk_bytes *b = rk_bytes_new(s.n);

    if (s.n > 0)
        memcpy(b->p, s.p, s.n);
    return b;
}

struct rk_bytes *rk_bytes_ref(struct rk_bytes *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void rk_bytes_unref(struct rk_bytes *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (b->room > 0)
        rk_spare_give(b, b->room);
    else
        free(b);
}
