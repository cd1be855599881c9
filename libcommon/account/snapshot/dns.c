#include "libcommon/account/snapshot/dns.h"

/* Encoded once when its row comes; the audience anew when a group of it moved. */

#include <stdlib.h>

#include "libcommon/account/snapshot/int.h"
#include "libcommon/account/snapshot/pairs.h"
#include "libcommon/account/compile/wire.h"
#include "libcommon/base/alloc.h"

enum {
    SERVED_BYTES_MAX = 64 * 1024 * 1024,
    RECORD_CNAME = 5,
    NAMESERVER_UDP = 1
};

/* --- encoding ------------------------------------------------------------------------------- */

static void put_nsgroup(const struct rk_nsgroup_row *g, struct rk_buf *b)
{
    size_t group = rk_wire_begin(b, 2);

    for (size_t i = 0; i < g->servers_n; i++) {
        size_t at = rk_wire_begin(b, 1);

        rk_wire_str(b, 1, rk_str(g->servers[i].ip));
        rk_wire_uint(b, 2, NAMESERVER_UDP);
        rk_wire_uint(b, 3, g->servers[i].port);
        rk_wire_end(b, at);
    }
    rk_wire_bool(b, 2, g->primary);
    for (size_t i = 0; i < g->domains.n; i++)
        rk_wire_str(b, 3, rk_str(g->domains.v[i]));
    rk_wire_bool(b, 4, g->search_domains);
    rk_wire_end(b, group);
}

/* With a dot at its end. */
static void put_name(struct rk_buf *b, unsigned field, const char *name)
{
    size_t at = rk_wire_begin(b, field);

    (void)rk_buf_put_str(b, rk_str(name));
    if (!rk_str_ends(rk_str(name), RK_STR(".")))
        (void)rk_buf_put_u8(b, '.');
    rk_wire_end(b, at);
}

static void put_zone(const struct rk_zone_row *z, struct rk_buf *b)
{
    size_t zone;

    if (z->records_n == 0)
        return;
    zone = rk_wire_begin(b, 3);
    put_name(b, 1, z->domain);
    for (size_t i = 0; i < z->records_n; i++) {
        const struct rk_zone_record *r = &z->records[i];
        size_t at = rk_wire_begin(b, 2);

        put_name(b, 1, r->name);
        rk_wire_uint(b, 2, r->type);
        rk_wire_str(b, 3, RK_STR("IN"));
        rk_wire_uint(b, 4, (uint64_t)r->ttl);
        if (r->type == RECORD_CNAME)
            put_name(b, 5, r->content);
        else
            rk_wire_str(b, 5, rk_str(r->content));
        rk_wire_end(b, at);
    }
    rk_wire_bool(b, 3, !z->search_domain);
    rk_wire_bool(b, 4, true); /* what it does not know, the next resolver may */
    rk_wire_end(b, zone);
}

static struct snap_served *served_new(struct rk_row *row)
{
    struct snap_served *v = rk_new(struct snap_served);
    struct rk_buf b;

    atomic_init(&v->refs, 1);
    v->row = rk_row_ref(row);
    rk_buf_init(&b, SERVED_BYTES_MAX);
    if (row->kind == RK_OBJ_ZONE)
        put_zone((const struct rk_zone_row *)row, &b);
    else
        put_nsgroup((const struct rk_nsgroup_row *)row, &b);
    if (b.n > 0 && !b.overflow) {
        v->bytes_n = b.n;
        v->bytes = rk_memdup(b.p, b.n);
    }
    rk_buf_done(&b);
    return v;
}

static void served_unref(struct snap_served *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    rk_row_unref(v->row);
    rk_bitmap_done(&v->who);
    free(v->bytes);
    free(v);
}

/* --- life ----------------------------------------------------------------------------------- */

static void serving_copy(struct snap_serving *to, const struct snap_serving *from)
{
    to->n = from->n;
    to->v = rk_new_array(struct snap_served *, from->n + 1);
    for (size_t i = 0; i < from->n; i++) {
        to->v[i] = from->v[i];
        (void)atomic_fetch_add_explicit(&to->v[i]->refs, 1, memory_order_relaxed);
    }
}

static void serving_done(struct snap_serving *l)
{
    for (size_t i = 0; i < l->n; i++)
        served_unref(l->v[i]);
    free(l->v);
}

void snap_dns_copy(struct snap_dns *to, const struct snap_dns *from)
{
    rk_bitmap_copy(&to->off, &from->off);
    serving_copy(&to->nsgroups, &from->nsgroups);
    serving_copy(&to->zones, &from->zones);
}

void snap_dns_done(struct snap_dns *d)
{
    rk_bitmap_done(&d->off);
    serving_done(&d->nsgroups);
    serving_done(&d->zones);
}

/* --- audiences ------------------------------------------------------------------------------ */

static const struct rk_ids *groups_of(const struct rk_row *row)
{
    return row->kind == RK_OBJ_ZONE ? &((const struct rk_zone_row *)row)->groups
                                    : &((const struct rk_nsgroup_row *)row)->groups;
}

static bool enabled(const struct rk_row *row)
{
    return row->kind == RK_OBJ_ZONE ? ((const struct rk_zone_row *)row)->enabled
                                    : ((const struct rk_nsgroup_row *)row)->enabled;
}

/* Into a copy, when it comes out different from what another snapshot shares. */
static void find_audience(const struct rk_snapshot *s, struct snap_served **slot)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap who;
    struct snap_served *v = *slot;

    rk_bitmap_init(&who);
    if (enabled(v->row) && v->bytes_n > 0) {
        snap_set_of(s, "", groups_of(v->row), &who);
        rk_bitmap_andnot(&who, &s->dns.off);
    }
    if (rk_bitmap_equal(&who, &v->who))
        return;
    if (atomic_load_explicit(&v->refs, memory_order_acquire) > 1) {
        *slot = served_new(v->row);
        served_unref(v);
    }
    rk_bitmap_copy(&(*slot)->who, &who);
}

/* Tells whether it moved. */
static bool find_off(struct rk_snapshot *s)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap off;

    rk_bitmap_init(&off);
    snap_set_of(s, "", &s->account->dns_disabled_groups, &off);
    if (rk_bitmap_equal(&off, &s->dns.off))
        return false;
    rk_bitmap_copy(&s->dns.off, &off);
    return true;
}

static void refresh(const struct rk_snapshot *s,
                    const struct snap_rows *rows,
                    bool all,
                    const struct snap_dirty *dirty,
                    struct snap_serving *l)
{
    struct snap_serving was = *l;
    struct pairs p = { 0, 0 };
    int c;

    *l = (struct snap_serving){ rk_new_array(struct snap_served *, rows->n + 1), 0 };
    while (next_pair(&p, p.was < was.n ? was.v[p.was]->row->id : NULL,
                     p.now < rows->n ? rows->v[p.now]->id : NULL, &c)) {
        struct snap_served *old = c <= 0 ? was.v[p.was - 1] : NULL;
        struct rk_row *row = c >= 0 ? rows->v[p.now - 1] : NULL;
        bool kept = old && row && old->row == row;

        if (row) {
            l->v[l->n] = kept ? old : served_new(row);
            if (!kept || all || snap_dirty_any(dirty, groups_of(row)))
                find_audience(s, &l->v[l->n]);
            l->n++;
        }
        if (!kept)
            served_unref(old);
    }
    free(was.v);
}

void snap_dns_refresh(struct rk_snapshot *s, const struct snap_dirty *dirty)
{
    bool all = find_off(s);

    refresh(s, &s->rows[RK_OBJ_NAMESERVER_GROUP], all, dirty, &s->dns.nsgroups);
    refresh(s, &s->rows[RK_OBJ_ZONE], all, dirty, &s->dns.zones);
}
