#include "services/dashboard-api/picture/picture.h"

/*
 * A short list, newest first. Two requests that bring the same account up to date at once do the
 * work twice and keep the newer one: nobody waits for another's query.
 */

#include <pthread.h>
#include <string.h>

#include "libcommon/account/compile/compile.h"
#include "libcommon/account/store/store.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"

enum {
    MAX_PICTURES = 16,
    MAX_PEERS = 100000, /* about 3 KB each */
};
#define MAP_BYTES_MAX ((size_t)256 << 20)

struct pictures {
    const char *default_domain;
    pthread_mutex_t lock; /* held for looking and swapping, never across a query */
    struct rk_snapshot *kept[MAX_PICTURES];
    size_t n;
};

struct pictures *pictures_new(const char *default_domain)
{
    struct pictures *p = rk_new(struct pictures);

    p->default_domain = default_domain;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void pictures_free(struct pictures *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        rk_snapshot_unref(p->kept[i]);
    pthread_mutex_destroy(&p->lock);
    rk_free(p);
}

/* MAX_PICTURES: not kept. */
static size_t place_of(const struct pictures *p, const char *account_id)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(rk_snapshot_account_id(p->kept[i]), account_id) == 0)
            return i;
    return MAX_PICTURES;
}

static void drop(struct pictures *p, size_t at)
{
    rk_snapshot_unref(p->kept[at]);
    memmove(&p->kept[at], &p->kept[at + 1], (p->n - at - 1) * sizeof(p->kept[0]));
    p->n--;
}

static struct rk_snapshot *find(struct pictures *p, const char *account_id)
{
    struct rk_snapshot *s = NULL;
    size_t at;

    pthread_mutex_lock(&p->lock);
    at = place_of(p, account_id);
    if (at < MAX_PICTURES)
        s = rk_snapshot_ref(p->kept[at]);
    pthread_mutex_unlock(&p->lock);
    return s;
}

static void keep(struct pictures *p, struct rk_snapshot *s)
{
    size_t at, peers = 0;

    pthread_mutex_lock(&p->lock);
    at = place_of(p, rk_snapshot_account_id(s));
    if (at < MAX_PICTURES && rk_snapshot_serial(p->kept[at]) > rk_snapshot_serial(s)) {
        pthread_mutex_unlock(&p->lock);
        return;
    }
    if (at < MAX_PICTURES)
        drop(p, at);
    else if (p->n == MAX_PICTURES)
        drop(p, p->n - 1);
    memmove(&p->kept[1], &p->kept[0], p->n * sizeof(p->kept[0]));
    p->kept[0] = rk_snapshot_ref(s);
    p->n++;
    for (at = 0; at < p->n && peers <= MAX_PEERS; at++)
        peers += rk_snapshot_peers(p->kept[at]);
    if (peers > MAX_PEERS)
        at--; /* the one that was too much, and those behind it */
    while (p->n > at)
        drop(p, p->n - 1);
    pthread_mutex_unlock(&p->lock);
}

int picture_get(struct pictures *p,
                struct rk_pg *pg,
                const char *account_id,
                struct rk_snapshot **out,
                struct rk_err *err)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *base = find(p, account_id);
    rk_auto(rk_delta_free) struct rk_delta *delta = NULL;
    int r = rk_store_load(pg, account_id, base ? rk_snapshot_serial(base) : 0, p->default_domain,
                          &delta, err);

    if (r < 0)
        return r;
    if (delta->account_gone)
        return rk_fail(err, RK_NOT_FOUND, "account not found: %s", account_id);
    if (base && !delta->full && delta->n == 0)
        *out = rk_steal(base);
    else
        *out = rk_snapshot_apply(base, delta);
    keep(p, *out);
    return 0;
}

int picture_map(const struct rk_snapshot *s,
                size_t index,
                struct rk_arena *arena,
                const Management__SyncResponse **out,
                struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf bytes;

    rk_buf_init(&bytes, MAP_BYTES_MAX);
    rk_compile_map(s, index, rk_wall_us(), &bytes);
    *out = bytes.overflow
               ? NULL
               : management__sync_response__unpack(rk_arena_protobuf(arena), bytes.n, bytes.p);
    if (!*out)
        return rk_fail(err, RK_INTERNAL, "the map of peer %s is too large to show",
                       rk_snapshot_peer(s, index)->id);
    return 0;
}
