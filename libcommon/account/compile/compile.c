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
    rk_buf_done(&v->sources);
    rk_buf_done(&v->scratch);
}

const struct rk_bitmap *compile_by_rank(struct compile_view *v, const struct rk_bitmap *set)
{
    if (v->s->in_order)
        return set;
    rk_bitmap_clear(&v->ranked);
    for (size_t i = rk_bitmap_next(set, 0); i != SIZE_MAX; i = rk_bitmap_next(set, i + 1))
        rk_bitmap_set(&v->ranked, v->s->rank[i]);
    return &v->ranked;
}

/* --- the parts of the map
 * ------------------------------------------------------------------------------------------ */

/* Fragments lie all over the heap: the next one is fetched while this one is copied. */
static void fetch_remote(const struct compile_view *v, size_t place)
{
    const struct compile_peer *x;
    struct compile_span span;

    if (place == SIZE_MAX)
        return;
    x = compile_slot_at(v->s, place)->peer;
    span = v->me->v6 ? x->remote6 : x->remote4;
    for (size_t at = 0; at < span.n; at += 64)
        __builtin_prefetch(x->bytes + span.at + at);
}

/* `tag` replaces the fragment's own. */
static void
put_remotes(struct compile_view *v, const struct rk_bitmap *set, uint8_t tag, struct rk_buf *b)
{
    set = compile_by_rank(v, set);
    for (size_t i = rk_bitmap_next(set, 0), next; i != SIZE_MAX; i = next) {
        const struct compile_peer *x = compile_slot_at(v->s, i)->peer;
        struct compile_span span = v->me->v6 ? x->remote6 : x->remote4;
        size_t at = b->n;

        next = rk_bitmap_next(set, i + 1);
        fetch_remote(v, next);
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
    size_t map = rk_wire_begin(out, 5), before;

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
    rk_wire_end(out, map);
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
