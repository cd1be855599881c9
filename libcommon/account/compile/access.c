#include "libcommon/account/compile/int.h"

/*
 * RouteFirewallRule: what a routing peer lets through to one of its networks. Only the sources and
 * the route's id depend on who asks; everything else is copied from encoded pieces.
 */

enum {
    TAG_SOURCE = 1 << 3 | 2,
    ACCESS_SCRATCH_MAX = 1024
};

static const char any4[] = "\x0a\x09"
                           "0.0.0.0/0";
static const char any6[] = "\x0a\x04"
                           "::/0";

void compile_put_pieces(struct rk_buf *b, uint8_t tag, const struct compile_piece *v, size_t n)
{
    size_t body = 0, len;
    uint8_t *at;

    for (size_t i = 0; i < n; i++)
        body += v[i].n;
    at = rk_buf_reserve(b, body + 11);
    if (!at)
        return;
    *at++ = tag;
    for (len = body; len >= 0x80; len >>= 7)
        *at++ = (uint8_t)(len | 0x80);
    *at++ = (uint8_t)len;
    for (size_t i = 0; i < n; i++) {
        if (v[i].n > 0)
            memcpy(at, v[i].p, v[i].n);
        at += v[i].n;
    }
    rk_buf_commit(b, (size_t)(at - (b->p + b->n)));
}

void compile_put_route_id(struct rk_buf *b,
                          unsigned field,
                          const struct compile_target *t,
                          const struct compile_peer *via,
                          unsigned form)
{
    size_t at = rk_wire_begin(b, field);

    (void)rk_buf_put_c(b, t->id);
    if (via) {
        (void)rk_buf_put_u8(b, ':');
        (void)rk_buf_put_c(b, via->row->id);
    }
    if (form == COMPILE_TWIN)
        (void)rk_buf_put_c(b, COMPILE_TWIN_SUFFIX);
    rk_wire_end(b, at);
}

/* One rule on the wire. `head`: action; `match`: protocol and portInfo. */
static void put_rule(struct compile_view *v,
                     const struct compile_gate *g,
                     unsigned form,
                     struct rk_str sources,
                     enum rk_rule_action action,
                     struct rk_str match,
                     struct rk_buf *b)
{
    static const uint8_t drop[] = { 2 << 3, RK_RULE_DROP };
    const struct compile_target *t = g->target;
    struct compile_span to = t->destination[t->twin ? form : COMPILE_PLAIN];
    struct rk_buf *tail = &v->scratch;

    rk_buf_clear(tail);
    rk_wire_str(tail, 9, rk_str(g->policy));
    compile_put_route_id(tail, 10, t, g->via, t->twin ? form : COMPILE_PLAIN);
    compile_put_pieces(b, 10 << 3 | 2,
                       (const struct compile_piece[]){
                           { sources.p, sources.n },
                           { drop, action == RK_RULE_DROP ? sizeof(drop) : 0 },
                           { t->bytes + to.at, to.n },
                           { match.p, match.n },
                           { t->bytes + t->domains.at, t->domains.n },
                           { tail->p, tail->n },
                       },
                       6);
}

/* --- without access groups: everyone -------------------------------------------------------- */

void compile_put_open(struct compile_view *v, const struct compile_gate *g, struct rk_buf *b)
{
    static const uint8_t all[] = { 4 << 3, RK_PROTO_ALL, 5 << 3 | 2, 0 };
    const struct rk_str match = rk_strn(all, sizeof(all));
    const struct rk_str from4 = rk_strn(any4, sizeof(any4) - 1);
    const struct rk_str from6 = rk_strn(any6, sizeof(any6) - 1);

    if (g->target->v6) {
        if (v->me->v6)
            put_rule(v, g, COMPILE_PLAIN, from6, RK_RULE_ACCEPT, match, b);
        return;
    }
    put_rule(v, g, COMPILE_PLAIN, from4, RK_RULE_ACCEPT, match, b);
    if (v->me->v6 && (g->target->dynamic || g->target->twin))
        put_rule(v, g, COMPILE_TWIN, from6, RK_RULE_ACCEPT, match, b);
}

/* --- what a rule lets through --------------------------------------------------------------- */

/* "address/32" or "address/128" of each, in the order of their ids. */
static void
put_sources(struct compile_view *v, const struct rk_bitmap *set, bool v6, struct rk_buf *b)
{
    struct compile_list l = compile_in_order(v, set);

    rk_buf_clear(b);
    for (size_t i = 0; i < l.n; i++) {
        const struct compile_peer *x = snap_slot(v->s, l.v[i])->peer;
        struct compile_span span = v6 ? x->allowed6 : x->allowed4;
        size_t at = b->n;

        if (span.n > 0 && rk_buf_put(b, x->bytes + span.at, span.n))
            b->p[at] = TAG_SOURCE;
    }
}

static void put_match(struct rk_buf *b,
                      const struct rk_rule *r,
                      uint64_t port,
                      const struct rk_port_range *range)
{
    size_t info, sub;

    rk_buf_clear(b);
    rk_wire_uint(b, 4, r->protocol);
    info = rk_wire_begin(b, 5); /* present even when empty */
    rk_wire_uint(b, 1, port);
    if (range && range->start > 0 && range->end > 0) {
        sub = rk_wire_begin(b, 2);
        rk_wire_uint(b, 1, range->start);
        rk_wire_uint(b, 2, range->end);
        rk_wire_end(b, sub);
    }
    rk_wire_end(b, info);
}

static bool named_before(const struct rk_rule *r, size_t n, uint64_t port)
{
    uint64_t v;

    for (size_t i = 0; i < n; i++)
        if (rk_str_u64(rk_str(r->ports[i]), &v) && v == port)
            return true;
    return false;
}

static void put_form(struct compile_view *v,
                     const struct compile_gate *g,
                     unsigned form,
                     struct rk_str sources,
                     struct rk_buf *b)
{
    const struct rk_rule *r = g->rule;
    rk_auto(rk_buf_done) struct rk_buf match;
    uint64_t port;

    rk_buf_init(&match, ACCESS_SCRATCH_MAX);
    for (size_t i = 0; i < r->ports_n; i++) {
        if (!rk_str_u64(rk_str(r->ports[i]), &port) || named_before(r, i, port))
            continue;
        put_match(&match, r, port, NULL);
        put_rule(v, g, form, sources, r->action, rk_buf_str(&match), b);
    }
    for (size_t i = 0; r->ports_n == 0 && i < r->ranges_n; i++) {
        put_match(&match, r, 0, &r->ranges[i]);
        put_rule(v, g, form, sources, r->action, rk_buf_str(&match), b);
    }
    if (r->ports_n == 0 && r->ranges_n == 0) {
        put_match(&match, r, 0, NULL);
        put_rule(v, g, form, sources, r->action, rk_buf_str(&match), b);
    }
}

void compile_put_gate(struct compile_view *v,
                      const struct compile_gate *g,
                      const struct rk_bitmap *sources,
                      struct rk_buf *b)
{
    const struct compile_target *t = g->target;
    struct rk_buf *from = &v->sources;

    if (g->rule->protocol == RK_PROTO_NETBIRD_SSH || (t->v6 && !v->me->v6))
        return; /* agents refuse the protocol here */
    put_sources(v, sources, t->v6, from);
    if (from->n > 0 || g->even_for_nobody)
        put_form(v, g, COMPILE_PLAIN, rk_buf_str(from), b);
    if (!v->me->v6 || t->v6 || !(t->dynamic || t->twin))
        return;
    put_sources(v, sources, true, from);
    if (from->n > 0)
        put_form(v, g, COMPILE_TWIN, rk_buf_str(from), b);
}
