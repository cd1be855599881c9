/*
 * Countries and cities of a database, sorted by name. Its tree is walked once: networks share
 * subtrees and places, so nodes and places that were seen are marked.
 */

#include <stdatomic.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/bitmap.h"
#include "libcommon/geo/geo_int.h"

#define LETTERS 26
#define CODES (LETTERS * LETTERS)
#define MAX_CITIES 4000000 /* places of one database; one with more is broken */

struct building {
    char *name;
    struct rk_geo_city *cities;
    size_t n, cap;
};

struct rk_geo_lists {
    _Atomic unsigned refs;
    struct rk_geo_country countries[CODES];
    size_t n;
};

/* One pass over the tree. */
struct walk {
    MMDB_s *db;
    struct building *countries; /* CODES of them; by code */
    struct rk_bitmap nodes, places;
    size_t cities;
    uint32_t *stack;
    size_t depth, cap;
};

static int code_index(const char *code)
{
    return (code[0] - 'A') * LETTERS + code[1] - 'A';
}

static void walk_push(struct walk *w, uint64_t node)
{
    if (rk_bitmap_test(&w->nodes, (size_t)node))
        return;
    rk_bitmap_set(&w->nodes, (size_t)node);
    if (w->depth == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 256;
        w->stack = rk_realloc(w->stack, w->cap * sizeof(*w->stack));
    }
    w->stack[w->depth++] = (uint32_t)node;
}

static int add_city(struct walk *w, struct building *b, uint32_t id, const char *name)
{
    if (++w->cities > MAX_CITIES)
        return RK_INVALID;
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 16;
        b->cities = rk_realloc(b->cities, b->cap * sizeof(*b->cities));
    }
    b->cities[b->n++] = (struct rk_geo_city){ .geoname_id = id, .name = rk_strdup(name) };
    return 0;
}

static int add_place(struct walk *w, MMDB_entry_s *entry)
{
    char code[RK_GEO_CODE_LEN + 2], name[RK_GEO_NAME_SIZE];
    struct building *b;

    /* A record may point into the gap before the data, which the library takes for the very end. */
    if (entry->offset >= w->db->data_section_size)
        return RK_INVALID;
    if (rk_bitmap_test(&w->places, entry->offset))
        return 0;
    rk_bitmap_set(&w->places, entry->offset);
    geo_text(entry, code, sizeof(code), geo_country_code);
    if (!geo_code_valid(code))
        return 0;
    b = &w->countries[code_index(code)];
    if (!b->name) {
        geo_text(entry, name, sizeof(name), geo_country_name);
        b->name = rk_strdup(name[0] != '\0' ? name : code);
    }
    geo_text(entry, name, sizeof(name), geo_city_name);
    return name[0] == '\0' ? 0 : add_city(w, b, geo_number(entry, geo_city_id), name);
}

static int step(struct walk *w, uint64_t record, uint8_t type, MMDB_entry_s *entry)
{
    switch (type) {
    case MMDB_RECORD_TYPE_SEARCH_NODE:
        walk_push(w, record);
        return 0;
    case MMDB_RECORD_TYPE_DATA:
        return add_place(w, entry);
    case MMDB_RECORD_TYPE_EMPTY:
        return 0;
    default:
        return RK_INVALID;
    }
}

static int walk_tree(struct walk *w)
{
    int r = 0;

    if (w->db->metadata.node_count > 0)
        walk_push(w, 0);
    while (r == 0 && w->depth > 0) {
        MMDB_search_node_s node;

        if (MMDB_read_node(w->db, w->stack[--w->depth], &node) != MMDB_SUCCESS)
            return RK_INVALID;
        r = step(w, node.left_record, node.left_record_type, &node.left_record_entry);
        if (r == 0)
            r = step(w, node.right_record, node.right_record_type, &node.right_record_entry);
    }
    return r;
}

static int by_city(const void *a, const void *b)
{
    const struct rk_geo_city *x = a, *y = b;
    int c = strcmp(x->name, y->name);

    return c != 0 ? c : (x->geoname_id > y->geoname_id) - (x->geoname_id < y->geoname_id);
}

static int by_country(const void *a, const void *b)
{
    const struct rk_geo_country *x = a, *y = b;
    int c = strcmp(x->name, y->name);

    return c != 0 ? c : strcmp(x->code, y->code);
}

/* Sorted, each once. */
static void settle(struct building *b)
{
    size_t kept = 0;

    if (b->n == 0)
        return;
    qsort(b->cities, b->n, sizeof(*b->cities), by_city);
    for (size_t i = 1; i < b->n; i++) {
        if (by_city(&b->cities[kept], &b->cities[i]) == 0)
            rk_free((void *)(uintptr_t)b->cities[i].name);
        else
            b->cities[++kept] = b->cities[i];
    }
    b->n = kept + 1;
    b->cities = rk_realloc(b->cities, b->n * sizeof(*b->cities));
}

/* Everything moves into the lists, also of a walk that failed: they are what frees it. */
static struct rk_geo_lists *collect(struct walk *w)
{
    struct rk_geo_lists *l = rk_new(struct rk_geo_lists);

    l->refs = 1;
    for (int i = 0; i < CODES; i++) {
        struct building *b = &w->countries[i];

        if (!b->name)
            continue;
        settle(b);
        l->countries[l->n++] = (struct rk_geo_country){ .code = { (char)('A' + i / LETTERS),
                                                                  (char)('A' + i % LETTERS) },
                                                        .name = b->name,
                                                        .cities = b->cities,
                                                        .cities_n = b->n };
    }
    qsort(l->countries, l->n, sizeof(l->countries[0]), by_country);
    return l;
}

int geo_lists_read(MMDB_s *db, struct rk_geo_lists **out, struct rk_err *err)
{
    struct walk w = { .db = db, .countries = rk_new_array(struct building, CODES) };
    struct rk_geo_lists *l;
    int r;

    rk_bitmap_init(&w.nodes);
    rk_bitmap_init(&w.places);
    r = walk_tree(&w);
    l = collect(&w);
    rk_bitmap_done(&w.nodes);
    rk_bitmap_done(&w.places);
    free(w.stack);
    free(w.countries);
    if (r < 0) {
        rk_geo_lists_unref(l);
        return rk_fail(err, r, "the search tree is corrupt");
    }
    *out = l;
    return 0;
}

struct rk_geo_lists *geo_lists_ref(struct rk_geo_lists *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void rk_geo_lists_unref(struct rk_geo_lists *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) > 1)
        return;
    for (size_t i = 0; i < l->n; i++) {
        for (size_t k = 0; k < l->countries[i].cities_n; k++)
            rk_free((void *)(uintptr_t)l->countries[i].cities[k].name);
        rk_free((void *)(uintptr_t)l->countries[i].cities);
        rk_free((void *)(uintptr_t)l->countries[i].name);
    }
    free(l);
}

const struct rk_geo_country *rk_geo_countries(const struct rk_geo_lists *l, size_t *out_n)
{
    *out_n = l->n;
    return l->countries;
}

const struct rk_geo_country *rk_geo_country_find(const struct rk_geo_lists *l, struct rk_str code)
{
    for (size_t i = 0; i < l->n; i++)
        if (rk_str_ieq(rk_str(l->countries[i].code), code))
            return &l->countries[i];
    return NULL;
}
