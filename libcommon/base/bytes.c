#include "libcommon/base/bytes.h"

/* The count is relaxed on the way up (a holder exists) and acquire-release on the way down (the
 * last one frees). */

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"

struct rk_bytes *rk_bytes_new(size_t n)
{
    struct rk_bytes *b = rk_alloc(sizeof(*b) + n);

    atomic_init(&b->refs, 1);
    b->n = n;
    return b;
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
    if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        free(b);
}
