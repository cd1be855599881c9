#pragma once

/*
 * Hash map from bytes to a pointer. Keys are not copied: they must live as long as the entry
 * (usually inside the value). Keyed SipHash, so a stranger cannot choose collisions. Not shared
 * between threads while written.
 */

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/str.h"

struct rk_map;

struct rk_map *rk_map_new(void);
void rk_map_free(struct rk_map *m); /* the values are the caller's */
RK_DEFINE_AUTO(struct rk_map, rk_map_free)

size_t rk_map_count(const struct rk_map *m);
void *rk_map_get(const struct rk_map *m, struct rk_str key); /* NULL when absent */
/* Inserts or replaces (key pointer too); returns the value it replaced, or NULL. `value` is not
 * NULL. */
void *rk_map_put(struct rk_map *m, struct rk_str key, void *value);
void *rk_map_del(struct rk_map *m, struct rk_str key); /* the value, or NULL */

/* Walk: size_t it = 0; while (rk_map_each(m, &it, &value)). No insertion meanwhile; deletion of the
 * current is fine. */
bool rk_map_each(const struct rk_map *m, size_t *it, void **out_value);
