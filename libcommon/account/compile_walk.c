#include "libcommon/account/compile_int.h"

/* Firewall rules: one walk over the rules that the receiver is in. */

#include <string.h>

enum {
    TAG_MAP_RULE = 8 << 3 | 2
};

/* The pieces are small and many: two overlapping halves cost less than a call. */
static inline uint8_t *put_bytes(uint8_t *at, const uint8_t *p, size_t n)
{
    if (n >= 16 && n <= 32) {
        memcpy(at, p, 16);
        memcpy(at + n - 16, p + n - 16, 16);
    } else if (n >= 8 && n < 16) {
        memcpy(at, p, 8);
        memcpy(at + n - 8, p + n - 8, 8);
    } else {
        memcpy(at, p, n);
    }
    return at + n;
}

/* PeerIP, the rule's part, sourcePrefixes: ascending field numbers. */
static void put_rule(struct rk_buf *b,
                     const struct compile_peer *remote,
                     struct compile_span ip,
                     struct compile_span prefix,
                     const uint8_t *part,
                     size_t part_n)
{
    size_t n = ip.n + part_n + prefix.n, len = n;
    uint8_t *at = rk_buf_reserve(b, n + 11);

    if (!at)
        return;
    *at++ = TAG_MAP_RULE;
    while (len >= 0x80) {
        *at++ = (uint8_t)(len | 0x80);
        len >>= 7;
    }
    *at++ = (uint8_t)len;
    at = put_bytes(at, remote->bytes + ip.at, ip.n);
    at = put_bytes(at, part, part_n);
    at = put_bytes(at, remote->bytes + prefix.at, prefix.n);
    rk_buf_commit(b, (size_t)(at - (b->p + b->n)));
}

static void put_direction(struct compile_view *v,
                          const struct rk_bitmap *set,
                          const struct compile_parts *parts)
{
    const struct compile_span none = { 0, 0 };
    bool prefixes = v->me->source_prefixes, dual = v->me->v6;

    set = compile_by_rank(v, set);
    for (size_t i = rk_bitmap_next(set, 0), next; i != SIZE_MAX; i = next) {
        const struct compile_peer *x = compile_slot_at(v->s, i)->peer;
        size_t from = 0;

        next = rk_bitmap_next(set, i + 1);
        if (next != SIZE_MAX)
            __builtin_prefetch(compile_slot_at(v->s, next)->peer);
        for (size_t k = 0; k < parts->n; k++) {
            const uint8_t *part = parts->bytes + from;
            size_t n = parts->ends[k] - from;

            put_rule(&v->rules, x, x->ip4, prefixes ? x->prefix4 : none, part, n);
            if (dual && x->ip6.n > 0) /* the remote's own capability does not matter here */
                put_rule(&v->rules, x, x->ip6, prefixes ? x->prefix6 : none, part, n);
            from = parts->ends[k];
        }
    }
}

/* A rule together with those of its policy that are the same on the wire: each remote address
 * appears once. */
static void walk_rule(struct compile_view *v, const struct snap_policy *p, size_t head)
{
    const struct compile_policy *code = p->code;

    rk_bitmap_clear(&v->in);
    rk_bitmap_clear(&v->out);
    for (size_t k = head; k < code->row->rules_n; k++) {
        if (code->rules[k].twin != head)
            continue;
        snap_sides_reach(&p->sides[k], code->row->rules[k].bidirectional, v->index, &v->in,
                         &v->out);
        if (code->rules[k].grants_ssh && rk_bitmap_test(&p->sides[k].dst, v->index))
            v->grants_ssh = true;
    }
    rk_bitmap_unset(&v->in, v->index);
    rk_bitmap_unset(&v->out, v->index);
    rk_bitmap_or(&v->seen, &v->in);
    rk_bitmap_or(&v->seen, &v->out);
    if (v->sets_alone)
        return;
    put_direction(v, &v->in, &code->rules[head].parts[COMPILE_IN][v->me->cls]);
    put_direction(v, &v->out, &code->rules[head].parts[COMPILE_OUT][v->me->cls]);
}

static bool concerns(const struct snap_sides *v, size_t index)
{
    return rk_bitmap_test(&v->src, index) || rk_bitmap_test(&v->dst, index);
}

void compile_walk_rules(struct compile_view *v)
{
    for (size_t i = 0; i < v->s->policies_n; i++) {
        const struct snap_policy *p = v->s->policies[i];
        size_t n = p->code->row->rules_n;

        for (size_t head = 0; head < n; head++) {
            bool any = false;

            if (p->code->rules[head].twin != head)
                continue;
            for (size_t k = head; k < n && !any; k++)
                any = p->code->rules[k].twin == head && concerns(&p->sides[k], v->index);
            if (any)
                walk_rule(v, p, head);
        }
    }
}
