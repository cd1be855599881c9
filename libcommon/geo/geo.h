#pragma once

/*
 * Where an address is, from a city database in MaxMind's format (.mmdb) that an operator keeps in a
 * file. The file may be replaced or overwritten at any time: rk_geo_refresh takes a private copy of
 * what is there and puts it into effect whole, or keeps what it has when the new one is broken.
 * Nothing is ever fetched. Without a file everything here answers "unknown".
 *
 * Any thread; refresh does file I/O and belongs on a worker, one call at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

#define RK_GEO_MAX_FILE ((uint64_t)1 << 30) /* bytes; a larger file is broken */
#define RK_GEO_CODE_LEN 2

struct rk_geo;

/* `path` "" or NULL: no database, ever. `lists`: countries and cities are wanted too, which costs a
 * walk over the whole database at each refresh and memory for the names. Loads nothing yet. */
struct rk_geo *rk_geo_new(const char *path, bool lists);
void rk_geo_free(struct rk_geo *g);
RK_DEFINE_AUTO(struct rk_geo, rk_geo_free)

enum rk_geo_refreshed {
    RK_GEO_SAME,   /* the file is the one that is in effect, or is still missing, or still broken */
    RK_GEO_LOADED, /* another database is in effect now */
};
/* Looks whether the file is another one than at the last call. RK_NOT_FOUND when it has gone and
 * RK_INVALID when it is broken: each is said once, and the database in effect stays. */
int rk_geo_refresh(struct rk_geo *g, struct rk_err *err) RK_CHECKED;

bool rk_geo_loaded(struct rk_geo *g);
/* Seconds since 1970 when the database in effect was made, 0 without one. */
uint64_t rk_geo_built_s(struct rk_geo *g);

#define RK_GEO_NAME_SIZE 128

struct rk_geo_place {
    char country[RK_GEO_CODE_LEN + 1];   /* ISO 3166-1 alpha-2, upper case; "" = unknown */
    char continent[RK_GEO_CODE_LEN + 1]; /* "" = unknown */
    char city[RK_GEO_NAME_SIZE];         /* English name; "" = unknown */
    uint32_t geoname_id;                 /* of the city, 0 = unknown */
    bool located;
    double latitude, longitude; /* degrees */
};

/* `ip` is an address of either family as text. False, and *out empty, when nothing is known of it
 * or there is no database. */
bool rk_geo_lookup(struct rk_geo *g, const char *ip, struct rk_geo_place *out);

/* Sorted by name, bytewise. The lists live as long as the reference. */
struct rk_geo_city {
    uint32_t geoname_id;
    const char *name;
};
struct rk_geo_country {
    char code[RK_GEO_CODE_LEN + 1];
    const char *name; /* English */
    const struct rk_geo_city *cities;
    size_t cities_n;
};
struct rk_geo_lists;
/* NULL while there is no database, or when lists were not asked for. */
struct rk_geo_lists *rk_geo_lists_ref(struct rk_geo *g);
void rk_geo_lists_unref(struct rk_geo_lists *l);
RK_DEFINE_AUTO(struct rk_geo_lists, rk_geo_lists_unref)
const struct rk_geo_country *rk_geo_countries(const struct rk_geo_lists *l, size_t *out_n);
/* By its code in either case; NULL for one without a place in the database. */
const struct rk_geo_country *rk_geo_country_find(const struct rk_geo_lists *l, struct rk_str code);
