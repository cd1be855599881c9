#pragma once

/* For the sources of this group. */

#include <maxminddb.h>

#include "libcommon/geo/geo.h"

/* Text at a path of an entry, cut at the end of `out`; "" when there is none. */
void geo_text(MMDB_entry_s *entry, char *out, size_t size, const char *const *path);
/* Number at a path; 0 when there is none. */
uint32_t geo_number(MMDB_entry_s *entry, const char *const *path);
/* Two capital letters, or nothing. */
bool geo_code_valid(const char *code);

extern const char *const geo_country_code[],
    *const geo_country_name[], *const geo_city_name[], *const geo_city_id[], *const geo_continent[];

/* The file's metadata and its size agree, so that the library may be let near it. */
bool geo_check(const uint8_t *p, size_t n);
/* Walks the whole database. RK_INVALID when its tree is broken. One reference. */
int geo_lists_read(MMDB_s *db, struct rk_geo_lists **out, struct rk_err *err) RK_CHECKED;
struct rk_geo_lists *geo_lists_ref(struct rk_geo_lists *l);
