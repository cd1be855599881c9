#include "libcommon/base/map.h"

/*
 * Open addressing with linear probing; a deleted slot leaves a tombstone, so a walk may delete
 * where it stands. Tables are rebuilt, larger or smaller, when entries and tombstones pass three
 * quarters. SipHash-1-3 under a random key of each map.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/id.h"

#define FIRST_SLOTS 8
enum {
    SLOT_EMPTY = 0, /* value NULL, n of 0 */
    SLOT_TOMB = 1,  /* value NULL, n of 1 */
};

struct slot {
    const char *key;
    void *value;
    uint32_t n;
    uint32_t hash;
};

struct rk_map {
    struct slot *slots;
    size_t size; /* power of two, or 0 */
    size_t count;
    size_t tombs;
    uint64_t k0, k1;
};

static uint64_t rotl(uint64_t x, int b)
{
    return x << b | x >> (64 - b);
}

#define SIP_ROUND                                                                                  \
    do {                                                                                           \
        v0 += v1, v1 = rotl(v1, 13) ^ v0, v0 = rotl(v0, 32);                                       \
        v2 += v3, v3 = rotl(v3, 16) ^ v2;                                                          \
        v0 += v3, v3 = rotl(v3, 21) ^ v0;                                                          \
        v2 += v1, v1 = rotl(v1, 17) ^ v2, v2 = rotl(v2, 32);                                       \
    } while (0)

static uint64_t siphash13(uint64_t k0, uint64_t k1, const char *p, size_t n)
{
    uint64_t v0 = k0 ^ 0x736f6d6570736575u, v1 = k1 ^ 0x646f72616e646f6du;
    uint64_t v2 = k0 ^ 0x6c7967656e657261u, v3 = k1 ^ 0x7465646279746573u;
    uint64_t m, last = (uint64_t)n << 56;

    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&m, p, 8);
        v3 ^= m;
        SIP_ROUND;
        v0 ^= m;
    }
    for (size_t i = 0; i < n; i++)
        last |= (uint64_t)(unsigned char)p[i] << (8 * i);
    v3 ^= last;
    SIP_ROUND;
    v0 ^= last;
    v2 ^= 0xff;
    SIP_ROUND;
    SIP_ROUND;
    SIP_ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

static uint32_t hash_of(const struct rk_map *m, struct rk_str key)
{
    uint64_t h = siphash13(m->k0, m->k1, key.p, key.n);

    return (uint32_t)(h ^ h >> 32);
}

struct rk_map *rk_map_new(void)
{
    struct rk_map *m = rk_new(struct rk_map);

    rk_random(&m->k0, sizeof(m->k0));
    rk_random(&m->k1, sizeof(m->k1));
    return m;
}

void rk_map_free(struct rk_map *m)
{
    if (!m)
        return;
    free(m->slots);
    free(m);
}

size_t rk_map_count(const struct rk_map *m)
{
    return m->count;
}

static struct slot *find(const struct rk_map *m, struct rk_str key, uint32_t hash)
{
    size_t i;

    if (m->size == 0)
        return NULL;
    for (i = hash & (m->size - 1);; i = (i + 1) & (m->size - 1)) {
        struct slot *s = &m->slots[i];

        if (!s->value) {
            if (s->n == SLOT_EMPTY)
                return NULL;
            continue;
        }
        if (s->hash == hash && s->n == key.n && (key.n == 0 || memcmp(s->key, key.p, key.n) == 0))
            return s;
    }
}

static void rebuild(struct rk_map *m)
{
    struct slot *old = m->slots;
    size_t old_size = m->size, i, at;

    m->size = FIRST_SLOTS;
    while (m->size < (m->count + 1) * 2)
        m->size *= 2;
    m->slots = rk_new_array(struct slot, m->size);
    m->tombs = 0;
    for (i = 0; i < old_size; i++) {
        if (!old[i].value)
            continue;
        for (at = old[i].hash & (m->size - 1); m->slots[at].value;)
            at = (at + 1) & (m->size - 1);
        m->slots[at] = old[i];
    }
    free(old);
}

void *rk_map_get(const struct rk_map *m, struct rk_str key)
{
    struct slot *s = find(m, key, hash_of(m, key));

    return s ? s->value : NULL;
}

void *rk_map_put(struct rk_map *m, struct rk_str key, void *value)
{
    uint32_t hash = hash_of(m, key);
    struct slot *s = find(m, key, hash);
    void *before;
    size_t i;

    assert(value && key.n <= UINT32_MAX);
    if (s) {
        before = s->value;
        s->key = key.p;
        s->value = value;
        return before;
    }
    if ((m->count + m->tombs + 1) * 4 > m->size * 3)
        rebuild(m);
    for (i = hash & (m->size - 1); m->slots[i].value;)
        i = (i + 1) & (m->size - 1);
    if (m->slots[i].n == SLOT_TOMB)
        m->tombs--;
    m->slots[i] = (struct slot){ key.p, value, (uint32_t)key.n, hash };
    m->count++;
    return NULL;
}

void *rk_map_del(struct rk_map *m, struct rk_str key)
{
    struct slot *s = find(m, key, hash_of(m, key));
    void *value;

    if (!s)
        return NULL;
    value = s->value;
    *s = (struct slot){ .n = SLOT_TOMB };
    m->tombs++;
    m->count--;
    return value;
}

bool rk_map_each(const struct rk_map *m, size_t *it, void **out_value)
{
    for (; *it < m->size; (*it)++) {
        if (m->slots[*it].value) {
            *out_value = m->slots[(*it)++].value;
            return true;
        }
    }
    return false;
}
