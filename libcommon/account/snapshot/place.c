#include "libcommon/account/snapshot/int.h"

/* Where a snapshot keeps its peers: pages of slots, and the orders by id and by key. */

#include <assert.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"

/* --- pages ---------------------------------------------------------------------------------- */

static struct snap_page *page_new(void)
{
    struct snap_page *p = rk_new(struct snap_page);

    atomic_init(&p->refs, 1);
    return p;
}

static void page_unref(struct snap_page *p)
{
    if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < SNAP_PAGE; i++)
        compile_peer_unref(p->slots[i].peer);
    free(p);
}

void snap_pages_copy(struct rk_snapshot *to, const struct rk_snapshot *from)
{
    to->pages_n = from->pages_n;
    to->pages = rk_new_array(struct snap_page *, from->pages_n + 1);
    for (size_t i = 0; i < from->pages_n; i++) {
        to->pages[i] = from->pages[i];
        (void)atomic_fetch_add_explicit(&to->pages[i]->refs, 1, memory_order_relaxed);
    }
}

void snap_pages_done(struct rk_snapshot *s)
{
    for (size_t i = 0; i < s->pages_n; i++)
        page_unref(s->pages[i]);
    free(s->pages);
}

void snap_slot_fill(struct snap_slot *slot, struct compile_peer *peer)
{
    assert(peer->ip4.n <= SNAP_PREFIX4 && peer->prefix4.n == SNAP_PREFIX4_LEN);
    slot->peer = peer;
    memcpy(slot->rule4, peer->bytes + peer->ip4.at, peer->ip4.n);
    memcpy(slot->rule4 + SNAP_PREFIX4, peer->bytes + peer->prefix4.at, SNAP_PREFIX4_LEN);
    slot->rule4[SNAP_IP4_LEN] = (uint8_t)peer->ip4.n;
}

struct snap_slot *snap_slot_own(struct rk_snapshot *s, size_t index)
{
    struct snap_page **page = &s->pages[index / SNAP_PAGE];

    if (atomic_load_explicit(&(*page)->refs, memory_order_acquire) > 1) {
        struct snap_page *own = page_new();

        memcpy(own->slots, (*page)->slots, sizeof(own->slots));
        for (size_t i = 0; i < SNAP_PAGE; i++)
            if (own->slots[i].peer)
                (void)compile_peer_ref(own->slots[i].peer);
        page_unref(*page);
        *page = own;
    }
    return &(*page)->slots[index % SNAP_PAGE];
}

size_t snap_index_free(struct rk_snapshot *s, size_t from)
{
    size_t i = from;

    while (rk_bitmap_test(&s->used, i))
        i++;
    if (i == s->pages_n * SNAP_PAGE) {
        s->pages = rk_realloc(s->pages, (s->pages_n + 1) * sizeof(struct snap_page *));
        s->pages[s->pages_n++] = page_new();
    }
    return i;
}

/* --- orders --------------------------------------------------------------------------------- */

void snap_places_unref(struct snap_places *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(p->order);
    free(p->by_key);
    free(p->rank);
    free(p);
}

/* Takes the reference. */
static void places_put(struct rk_snapshot *s, struct snap_places *p)
{
    snap_places_unref(s->places);
    s->places = p;
    s->order = p->order;
    s->by_key = p->by_key;
    s->rank = p->rank;
    s->peers_n = p->n;
    s->in_order = p->in_order;
}

void snap_places_share(struct rk_snapshot *s, struct snap_places *p)
{
    (void)atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    places_put(s, p);
}

typedef int place_cmp_fn(const void *a, const void *b, void *arg);

static int by_id(const void *a, const void *b, void *arg)
{
    const struct rk_snapshot *s = arg;
    const uint32_t *x = a, *y = b;

    return strcmp(snap_slot(s, *x)->peer->row->id, snap_slot(s, *y)->peer->row->id);
}

static int by_key(const void *a, const void *b, void *arg)
{
    const struct rk_snapshot *s = arg;
    const uint32_t *x = a, *y = b;

    return memcmp(snap_slot(s, *x)->peer->row->key, snap_slot(s, *y)->peer->row->key, RK_KEY_LEN);
}

/* How many of `sorted` come before `one`. */
static size_t before(
    struct rk_snapshot *s, const uint32_t *sorted, size_t n, const uint32_t *one, place_cmp_fn *cmp)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (cmp(&sorted[mid], one, s) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* `sorted` without the indexes that went or are fresh, and the fresh ones in their places. The
 * usual few are searched for, so that few rows are looked at; the rest is moving numbers. */
static uint32_t *merge(struct rk_snapshot *s,
                       const uint32_t *sorted,
                       const struct rk_bitmap *fresh,
                       uint32_t *add,
                       size_t add_n,
                       place_cmp_fn *cmp)
{
    uint32_t *keep = rk_new_array(uint32_t, s->peers_n + 1), *out;
    size_t n = 0, from = 0, o = 0;

    for (size_t i = 0; i < s->peers_n; i++)
        if (rk_bitmap_test(&s->used, sorted[i]) && !rk_bitmap_test(fresh, sorted[i]))
            keep[n++] = sorted[i];
    qsort_r(add, add_n, sizeof(*add), cmp, s);
    out = rk_new_array(uint32_t, n + add_n + 1);
    for (size_t k = 0; k < add_n; k++) {
        size_t to = from + before(s, keep + from, n - from, &add[k], cmp);

        memcpy(out + o, keep + from, (to - from) * sizeof(*out));
        o += to - from;
        out[o++] = add[k];
        from = to;
    }
    memcpy(out + o, keep + from, (n - from) * sizeof(*out));
    free(keep);
    return out;
}

void snap_places_refresh(struct rk_snapshot *s, const struct rk_bitmap *fresh)
{
    struct snap_places *p = rk_new(struct snap_places);
    size_t add_n = 0;
    uint32_t *add = rk_new_array(uint32_t, rk_bitmap_count(fresh) + 1);

    atomic_init(&p->refs, 1);
    for (size_t i = rk_bitmap_next(fresh, 0); i != SIZE_MAX; i = rk_bitmap_next(fresh, i + 1))
        add[add_n++] = (uint32_t)i;
    p->order = merge(s, s->order, fresh, add, add_n, by_id);
    p->by_key = merge(s, s->by_key, fresh, add, add_n, by_key);
    free(add);
    p->n = rk_bitmap_count(&s->used);
    p->rank = rk_new_array(uint32_t, s->pages_n * SNAP_PAGE + 1);
    p->in_order = true;
    for (size_t i = 0; i < p->n; i++) {
        p->rank[p->order[i]] = (uint32_t)i;
        p->in_order = p->in_order && (i == 0 || p->order[i - 1] < p->order[i]);
    }
    places_put(s, p);
}
