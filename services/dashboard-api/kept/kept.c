/* See kept.h. */

#include "services/dashboard-api/kept/kept.h"

#include <stdlib.h>

#include <microhttpd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/map.h"

#define IDLE_MAX 64   /* of one answer */
#define IDLE_ALL 1024 /* less than a KiB each */
#define IDLE_BYTES (IDLE_MAX * sizeof(struct MHD_Response *))

struct kept {
    struct rk_map *by_key;
    struct rk_list by_use; /* the next to go first */
    size_t bytes, max_bytes;
    unsigned idle_n; /* of all answers */
};

struct kept_answer *kept_answer_new(uint8_t *body, size_t n, const char *etag, const char *link)
{
    struct kept_answer *a = rk_new(struct kept_answer);

    a->refs = 1;
    rk_list_init(&a->by_use);
    a->body = body;
    a->body_n = n;
    (void)rk_str_copy(rk_str(etag), a->etag, sizeof(a->etag));
    a->link = rk_strdup(link);
    return a;
}

struct kept_answer *kept_answer_ref(struct kept_answer *a)
{
    a->refs++;
    return a;
}

void kept_answer_unref(struct kept_answer *a)
{
    if (!a || --a->refs > 0)
        return;
    free(a->key);
    free(a->body);
    free(a->link);
    free(a->idle);
    free(a);
}

struct kept *kept_new(size_t max_bytes)
{
    struct kept *k = rk_new(struct kept);

    k->by_key = rk_map_new();
    rk_list_init(&k->by_use);
    k->max_bytes = max_bytes;
    return k;
}

static size_t cost(const struct kept_answer *a)
{
    return sizeof(*a) + a->key_n + a->body_n + strlen(a->link) + (a->idle ? IDLE_BYTES : 0);
}

static void drop(struct kept *k, struct kept_answer *a)
{
    (void)rk_map_del(k->by_key, rk_strn(a->key, a->key_n));
    rk_list_remove(&a->by_use);
    k->bytes -= cost(a);
    k->idle_n -= a->idle_n;
    while (a->idle_n > 0)
        MHD_destroy_response(a->idle[--a->idle_n]);
    kept_answer_unref(a);
}

void kept_clear(struct kept *k)
{
    while (!rk_list_empty(&k->by_use))
        drop(k, rk_list_entry(k->by_use.next, struct kept_answer, by_use));
}

void kept_free(struct kept *k)
{
    if (!k)
        return;
    kept_clear(k);
    rk_map_free(k->by_key);
    free(k);
}

struct kept_answer *
kept_find(struct kept *k, struct rk_str key, const char *version, uint64_t now_ms)
{
    struct kept_answer *a = rk_map_get(k->by_key, key);

    if (!a)
        return NULL;
    if (now_ms - a->made_ms >= KEPT_AGE_MAX_MS || strcmp(a->version, version) != 0) {
        drop(k, a);
        return NULL;
    }
    rk_list_remove(&a->by_use);
    rk_list_append(&k->by_use, &a->by_use);
    return kept_answer_ref(a);
}

void kept_put(
    struct kept *k, struct rk_str key, const char *version, uint64_t now_ms, struct kept_answer *a)
{
    struct kept_answer *was = rk_map_get(k->by_key, key);

    if (was)
        drop(k, was);
    a->key_n = key.n;
    if (cost(a) > k->max_bytes / 4 || !rk_str_copy(rk_str(version), a->version, sizeof(a->version)))
        return;
    a->key = rk_strndup(key.p, key.n);
    a->made_ms = now_ms;
    k->bytes += cost(a);
    (void)rk_map_put(k->by_key, rk_strn(a->key, a->key_n), kept_answer_ref(a));
    rk_list_append(&k->by_use, &a->by_use);
    while (k->bytes > k->max_bytes)
        drop(k, rk_list_entry(k->by_use.next, struct kept_answer, by_use));
}

struct MHD_Response *kept_lend(struct kept *k, struct kept_answer *a)
{
    if (a->idle_n == 0)
        return NULL;
    k->idle_n--;
    return a->idle[--a->idle_n];
}

void kept_take_back(struct kept *k, struct kept_answer *a, struct MHD_Response *r)
{
    if (rk_list_empty(&a->by_use) || a->idle_n == IDLE_MAX || k->idle_n == IDLE_ALL) {
        MHD_destroy_response(r);
        return;
    }
    if (!a->idle) {
        a->idle = rk_new_array(struct MHD_Response *, IDLE_MAX);
        k->bytes += IDLE_BYTES;
    }
    k->idle_n++;
    a->idle[a->idle_n++] = r;
}

size_t kept_bytes(const struct kept *k)
{
    return k->bytes;
}
