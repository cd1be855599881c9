#include "services/management/edges/choice.h"

/* Candidates are sorted once: by region, nearest first, and by merit within it. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/account/store/edges.h"

#define EARTH_KM 6371.0

struct candidate {
    const struct edge *edge;
    double km; /* to its region; INFINITY: not known */
    unsigned tenth;
    uint64_t lot;
};

static double radians(int32_t e4)
{
    return (double)e4 / 10000 * M_PI / 180;
}

double choice_distance_km(struct rk_position a, struct rk_position b)
{
    double north = radians(b.latitude_e4) - radians(a.latitude_e4);
    double east = radians(b.longitude_e4) - radians(a.longitude_e4);
    double h = pow(sin(north / 2), 2) +
               cos(radians(a.latitude_e4)) * cos(radians(b.latitude_e4)) * pow(sin(east / 2), 2);

    return 2 * EARTH_KM * asin(fmin(1, sqrt(h)));
}

/* The same for the same agent and address for ever, and evenly spread. */
static uint64_t lot(uint64_t who, const char *url)
{
    uint64_t h = who ^ 0x9e3779b97f4a7c15u;

    for (; *url; url++)
        h = (h ^ (uint8_t)*url) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static int in_order(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int by_region;

    if (x->km != y->km)
        return x->km < y->km ? -1 : 1;
    by_region = strcmp(x->edge->region, y->edge->region);
    if (by_region != 0)
        return by_region;
    if (x->tenth != y->tenth)
        return x->tenth < y->tenth ? -1 : 1;
    if (x->lot != y->lot)
        return x->lot < y->lot ? -1 : 1;
    return strcmp(x->edge->url, y->edge->url);
}

static size_t candidates(
    const struct edge *edges, size_t n, enum rk_edge_kind kind, uint64_t who, struct candidate *out)
{
    enum edge_state best = EDGE_STATES;
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        if (edges[i].kind == kind && edges[i].state < best)
            best = edges[i].state;
    for (size_t i = 0; i < n; i++) {
        const struct edge *e = &edges[i];

        if (e->kind == kind && e->state == best)
            out[count++] = (struct candidate){
                .edge = e,
                .km = INFINITY,
                .tenth = e->capacity
                             ? (unsigned)fmin(10, 10.0 * (double)e->load / (double)e->capacity)
                             : 0,
                .lot = lot(who, e->url),
            };
    }
    return count;
}

static bool new_region(const struct candidate *c, size_t i)
{
    return i == 0 || strcmp(c[i].edge->region, c[i - 1].edge->region) != 0;
}

/* A region is as near as the nearest that is there; those of one stand together. */
static void measure(struct candidate *c, size_t n, struct rk_position place)
{
    for (size_t begin = 0, end; begin < n; begin = end) {
        double km = INFINITY;

        for (end = begin; end < n && (end == begin || !new_region(c, end)); end++)
            if (c[end].edge->at.known)
                km = fmin(km, choice_distance_km(place, c[end].edge->at));
        for (size_t i = begin; i < end; i++)
            c[i].km = km;
    }
}

/* Of the nearest region, and one of the next. */
static size_t pick_near(const struct candidate *c, size_t n, const struct edge *out[CHOICE_MAX])
{
    size_t count = 0, regions = 0;

    for (size_t i = 0; i < n && regions < 2; i++) {
        bool next = new_region(c, i) && ++regions == 2;

        if (next || count < CHOICE_NEAR)
            out[count++] = c[i].edge;
    }
    return count;
}

/* One of each region, then a second of each, until the list is full. */
static size_t pick_each(const struct candidate *c, size_t n, const struct edge *out[CHOICE_MAX])
{
    size_t count = 0;

    for (size_t round = 1; round <= CHOICE_NEAR && count < CHOICE_MAX; round++) {
        size_t of_region = 0;

        for (size_t i = 0; i < n && count < CHOICE_MAX; i++) {
            of_region = new_region(c, i) ? 1 : of_region + 1;
            if (of_region == round)
                out[count++] = c[i].edge;
        }
    }
    return count;
}

size_t choice_make(const struct edge *edges,
                   size_t n,
                   enum rk_edge_kind kind,
                   struct rk_position place,
                   uint64_t who,
                   const struct edge *out[CHOICE_MAX])
{
    struct candidate c[RK_EDGES_MAX];
    size_t count = candidates(edges, n, kind, who, c);

    if (place.known)
        measure(c, count, place);
    qsort(c, count, sizeof(c[0]), in_order);
    return count > 0 && c[0].km < INFINITY ? pick_near(c, count, out) : pick_each(c, count, out);
}
