#include "libcommon/account/compile/compile.h"

/*
 * The map, written front to back into the buffer from encoded fragments. One walk over the rules
 * finds those that the receiver is in, and everybody behind them: the remote peers and the zone's
 * records; firewall rules are then written from the rules that were found. Peers
 * appear in the order of their ids, rules in the order of their policies' ids: unchanged maps are
 * the same bytes on every replica.
 *
 * Fields of each message in ascending order. Places for what is not sent yet are marked with their
 * field number.
 */

#include <stdlib.h>

#include "libcommon/account/compile/int.h"

enum {
    TAG_MAP_REMOTE = 3 << 3 | 2,
    TAG_MAP_OFFLINE = 7 << 3 | 2,
    TAG_SYNC_REMOTE = 3 << 3 | 2
};
enum {
    RULES_BYTES_MAX = 1024 * 1024 * 1024,
    SCRATCH_BYTES_MAX = 64 * 1024
}; /* our own scratch; the caller's limit is the one that counts */
enum {
    NEAR_A_PEER = 450
}; /* bytes of a map, mostly rules: only how much room its length takes depends on it */

void compile_view_init(struct compile_view *v,
                       const struct rk_snapshot *s,
                       size_t index,
                       int64_t now_us)
{
    *v = (struct compile_view){
        .s = s, .index = index, .me = snap_slot(s, index)->peer, .now_us = now_us
    };
    rk_buf_init(&v->sources, RULES_BYTES_MAX);
    rk_buf_init(&v->scratch, SCRATCH_BYTES_MAX);
}

void compile_view_done(struct compile_view *v)
{
    free(v->hits);
    rk_bitmap_done(&v->seen);
    rk_bitmap_done(&v->named);
    rk_bitmap_done(&v->extra);
    rk_bitmap_done(&v->visible);
    rk_bitmap_done(&v->connected);
    rk_bitmap_done(&v->offline);
    rk_bitmap_done(&v->remote);
    rk_bitmap_done(&v->own_ha);
    rk_bitmap_done(&v->in);
    rk_bitmap_done(&v->out);
    rk_bitmap_done(&v->ranked);
    free(v->list);
    rk_buf_done(&v->sources);
    rk_buf_done(&v->scratch);
}

static size_t list_bits(struct compile_view *v, const struct rk_bitmap *set)
{
    size_t n = 0;

    for (size_t i = 0; i < set->words; i++)
        for (uint64_t w = set->w[i]; w; w &= w - 1) {
            if (n == v->list_room) {
                v->list_room = n > 0 ? 2 * n : 256;
                v->list = rk_realloc(v->list, v->list_room * sizeof(*v->list));
            }
            v->list[n++] = (uint32_t)(i * 64 + (size_t)__builtin_ctzll(w));
        }
    return n;
}

struct compile_list compile_in_order(struct compile_view *v, const struct rk_bitmap *set)
{
    size_t n = list_bits(v, set);

    if (!v->s->in_order) {
        rk_bitmap_clear(&v->ranked);
        for (size_t i = 0; i < n; i++)
            rk_bitmap_set(&v->ranked, v->s->rank[v->list[i]]);
        n = list_bits(v, &v->ranked);
        for (size_t i = 0; i < n; i++)
            v->list[i] = v->s->order[v->list[i]];
    }
    return (struct compile_list){ v->list, n };
}

enum {
    FETCH_PEER = 8,
    FETCH_BYTES = 4,
    LINE = 64
}; /* so many peers ahead */

void compile_fetch_ahead(const struct compile_view *v, struct compile_list l, size_t i)
{
    const struct compile_peer *x;

    if (i + FETCH_PEER < l.n) {
        x = snap_slot(v->s, l.v[i + FETCH_PEER])->peer;
        __builtin_prefetch(x);
        __builtin_prefetch((const uint8_t *)x + LINE);
    }
    if (i + FETCH_BYTES < l.n) {
        x = snap_slot(v->s, l.v[i + FETCH_BYTES])->peer;
        for (size_t at = v->me->v6 ? x->remote6.at : 0; at < x->bytes_n; at += LINE)
            __builtin_prefetch(x->bytes + at);
    }
}

/* --- the parts of the map
 * ------------------------------------------------------------------------------------------ */

/* `tag` replaces the fragment's own. */
static void
put_remotes(struct compile_view *v, const struct rk_bitmap *set, uint8_t tag, struct rk_buf *b)
{
    struct compile_list l = compile_in_order(v, set);

    for (size_t i = 0; i < l.n; i++) {
        const struct compile_peer *x = snap_slot(v->s, l.v[i])->peer;
        struct compile_span span = v->me->v6 ? x->remote6 : x->remote4;
        size_t at = b->n;

        compile_fetch_ahead(v, l, i);
        if (rk_buf_put(b, x->bytes + span.at, span.n))
            b->p[at] = tag;
    }
}

static void
put_empty_lists(struct rk_buf *b, uint64_t serial, struct rk_str peer_config, int64_t port)
{
    size_t map = rk_wire_begin(b, 5), dns;

    rk_wire_uint(b, 1, serial);
    rk_wire_str(b, 2, peer_config);
    rk_wire_bool(b, 4, true);
    dns = rk_wire_begin(b, 6);
    rk_wire_uint(b, 4, (uint64_t)port);
    rk_wire_end(b, dns);
    rk_wire_bool(
        b, 9, true); /* without these flags an agent takes an empty list for "allow everything" */
    rk_wire_bool(b, 11, true);
    rk_wire_end(b, map);
}

void compile_put_session(const struct rk_snapshot *s, size_t index, struct rk_buf *out)
{
    size_t at = rk_wire_begin(out, 7); /* present and empty means: no deadline */

    rk_compile_session_expiry(s, index, out);
    rk_wire_end(out, at);
}

/* --- the whole
 * ----------------------------------------------------------------------------------------------------
 */

int64_t rk_compile_forwarder_port(const struct rk_snapshot *s)
{
    return s->forwarder_port;
}

void rk_compile_deleted(uint64_t serial, int64_t forwarder_port, struct rk_buf *out)
{
    rk_wire_bool(out, 4, true);
    put_empty_lists(out, serial, (struct rk_str){ NULL, 0 }, forwarder_port);
}

void compile_look(struct compile_view *v)
{
    compile_look_rules(v);
    for (size_t i = rk_bitmap_next(&v->seen, 0); i != SIZE_MAX; i = rk_bitmap_next(&v->seen, i + 1))
        if (snap_slot(v->s, i)->expires_at_us <= v->now_us)
            rk_bitmap_set(&v->offline, i);
    rk_bitmap_copy(&v->connected, &v->seen);
    rk_bitmap_andnot(&v->connected, &v->offline);
    rk_bitmap_copy(&v->named, &v->seen);
    rk_bitmap_set(&v->named, v->index); /* the zone has the receiver too */
    compile_look_routes(v);
    rk_bitmap_copy(&v->visible, &v->named);
    compile_look_resources(v);
    rk_bitmap_copy(&v->remote, &v->extra);
    rk_bitmap_andnot(&v->remote, &v->offline); /* an expired one stays so, whoever needs it */
    rk_bitmap_or(&v->remote, &v->connected);
}

static void put_map(struct compile_view *v, struct rk_str peer_config, struct rk_buf *out)
{
    size_t near = NEAR_A_PEER * rk_bitmap_count(&v->remote);
    size_t map = rk_wire_begin_near(out, 5, near), before;

    rk_wire_uint(out, 1, v->s->serial);
    rk_wire_str(out, 2, peer_config);
    put_remotes(v, &v->remote, TAG_MAP_REMOTE, out);
    rk_wire_bool(out, 4, rk_bitmap_empty(&v->remote));
    compile_put_routes(v, out);
    compile_put_resources(v, out);
    compile_put_dns(v, out);
    put_remotes(v, &v->offline, TAG_MAP_OFFLINE, out);
    before = out->n;
    compile_put_rules(v, out);
    rk_wire_bool(out, 9, out->n == before);
    before = out->n;
    compile_put_route_access(v, out);
    compile_put_resource_access(v, out);
    rk_wire_bool(out, 11, out->n == before);
    /* 12 forwardingRules */
    compile_put_ssh_auth(v, out);
    rk_wire_end_near(out, map, near);
}

void rk_compile_map(const struct rk_snapshot *s, size_t index, int64_t now_us, struct rk_buf *out)
{
    rk_auto(compile_view_done) struct compile_view v;
    rk_auto(rk_buf_done) struct rk_buf config;
    bool approved = rk_bitmap_test(&s->approved, index);

    compile_view_init(&v, s, index, now_us);
    rk_buf_init(&config, 64 * 1024);
    if (approved)
        compile_look(&v);
    compile_put_config(s, v.me, v.me->row->ssh_enabled || v.grants_ssh, v.me->sup6, &config);
    rk_wire_str(out, 2, rk_buf_str(&config));
    if (v.me->duplicate_peers)
        put_remotes(&v, &v.remote, TAG_SYNC_REMOTE, out);
    rk_wire_bool(out, 4, rk_bitmap_empty(&v.remote));
    if (approved)
        put_map(&v, rk_buf_str(&config), out);
    else
        put_empty_lists(out, s->serial, rk_buf_str(&config), s->forwarder_port);
    rk_compile_checks(s, index, 6, out);
    compile_put_session(s, index, out);
}
