#include "libcommon/account/compile/int.h"

/* The rules that the receiver is in: found in one walk, and written as firewall rules. */

#include <stdlib.h>
#include <string.h>

enum {
    TAG_MAP_RULE = 8 << 3 | 2
};

/* Copies in steps of a fixed size need no call; both ends have room for COMPILE_SLACK more. */
static inline uint8_t *put_bytes(uint8_t *at, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += COMPILE_SLACK)
        memcpy(at + i, p + i, COMPILE_SLACK);
    return at + n;
}

static inline uint8_t *put_head(uint8_t *at, size_t len)
{
    *at++ = TAG_MAP_RULE;
    while (len >= 0x80) {
        *at++ = (uint8_t)(len | 0x80);
        len >>= 7;
    }
    *at++ = (uint8_t)len;
    return at;
}

/* PeerIP, the rule's part, sourcePrefixes: ascending field numbers. */
static inline uint8_t *put_rule4(
    uint8_t *at, const struct snap_slot *remote, bool prefix, const uint8_t *part, size_t part_n)
{
    size_t ip_n = remote->rule4[SNAP_IP4_LEN];

    at = put_head(at, ip_n + part_n + (prefix ? SNAP_PREFIX4_LEN : 0));
    memcpy(at, remote->rule4, SNAP_PREFIX4);
    at = put_bytes(at + ip_n, part, part_n);
    if (!prefix)
        return at;
    memcpy(at, remote->rule4 + SNAP_PREFIX4, SNAP_PREFIX4_LEN + 1);
    return at + SNAP_PREFIX4_LEN;
}

static uint8_t *put_rule6(
    uint8_t *at, const struct compile_peer *remote, bool prefix, const uint8_t *part, size_t part_n)
{
    size_t prefix_n = prefix ? remote->prefix6.n : 0;

    at = put_head(at, remote->ip6.n + part_n + prefix_n);
    at = put_bytes(at, remote->bytes + remote->ip6.at, remote->ip6.n);
    at = put_bytes(at, part, part_n);
    return put_bytes(at, remote->bytes + remote->prefix6.at, prefix_n);
}

enum {
    HEAD_MAX = 11,
    RULE4_MAX = HEAD_MAX + SNAP_PREFIX4 + SNAP_PREFIX4_LEN
};

/* The receiver itself is left out. */
static void put_direction(struct compile_view *v,
                          const struct rk_bitmap *set,
                          const struct compile_parts *parts,
                          struct rk_buf *b)
{
    bool prefix = v->me->source_prefixes, dual = v->me->v6;
    size_t parts_n = parts->n > 0 ? parts->ends[parts->n - 1] : 0;
    struct compile_list l = compile_in_order(v, set);

    for (size_t i = 0; i < l.n; i++) {
        const struct snap_slot *slot = snap_slot(v->s, l.v[i]);
        /* Whether the remote itself can do IPv6 does not matter here. */
        const struct compile_peer *six = dual && slot->peer->ip6.n > 0 ? slot->peer : NULL;
        size_t room = parts_n + parts->n * RULE4_MAX + COMPILE_SLACK, from = 0;
        uint8_t *at;

        if (l.v[i] == v->index)
            continue;
        compile_fetch_ahead(v, l, i);
        if (six)
            room += parts_n + parts->n * (six->ip6.n + six->prefix6.n + HEAD_MAX);
        at = rk_buf_reserve(b, room);
        if (!at)
            return;
        for (size_t k = 0; k < parts->n; k++) {
            const uint8_t *part = parts->bytes + from;
            size_t n = parts->ends[k] - from;

            at = put_rule4(at, slot, prefix, part, n);
            if (six)
                at = put_rule6(at, six, prefix, part, n);
            from = parts->ends[k];
        }
        rk_buf_commit(b, (size_t)(at - (b->p + b->n)));
    }
}

/* Both sets, of which one may be NULL. Most rules have one, which is not copied then. */
static const struct rk_bitmap *
both(const struct rk_bitmap *a, const struct rk_bitmap *b, struct rk_bitmap *room)
{
    if (!a || !b)
        return a ? a : b;
    rk_bitmap_copy(room, a);
    rk_bitmap_or(room, b);
    return room;
}

/* As snap_sides_reach says it. */
static void put_alone(struct compile_view *v, const struct compile_hit *h, struct rk_buf *b)
{
    const struct snap_sides *s = &h->policy->sides[h->head];
    const struct compile_rule *rule = &h->policy->code->rules[h->head];
    bool at_src = rk_bitmap_test(&s->src, v->index), at_dst = rk_bitmap_test(&s->dst, v->index);
    bool back = rule->row->bidirectional && !s->equal;
    const struct rk_bitmap *in =
        both(at_dst ? &s->src : NULL, back && at_src ? &s->dst : NULL, &v->in);
    const struct rk_bitmap *out =
        both(at_src ? &s->dst : NULL, back && at_dst ? &s->src : NULL, &v->out);

    if (in)
        put_direction(v, in, &rule->parts[COMPILE_IN][v->me->cls], b);
    if (out)
        put_direction(v, out, &rule->parts[COMPILE_OUT][v->me->cls], b);
}

/* A rule together with those of its policy that are the same on the wire: each remote address
 * appears once. */
static void put_together(struct compile_view *v, const struct compile_hit *h, struct rk_buf *b)
{
    const struct compile_policy *code = h->policy->code;

    rk_bitmap_clear(&v->in);
    rk_bitmap_clear(&v->out);
    for (size_t k = h->head; k < code->row->rules_n; k++)
        if (code->rules[k].twin == h->head)
            snap_sides_reach(&h->policy->sides[k], code->row->rules[k].bidirectional, v->index,
                             &v->in, &v->out);
    put_direction(v, &v->in, &code->rules[h->head].parts[COMPILE_IN][v->me->cls], b);
    put_direction(v, &v->out, &code->rules[h->head].parts[COMPILE_OUT][v->me->cls], b);
}

void compile_put_rules(struct compile_view *v, struct rk_buf *b)
{
    for (size_t i = 0; i < v->hits_n; i++)
        if (v->hits[i].alone)
            put_alone(v, &v->hits[i], b);
        else
            put_together(v, &v->hits[i], b);
}

/* Adds whom the receiver meets through this rule; false when it is not in it. */
static bool look_rule(struct compile_view *v, const struct snap_policy *p, size_t rule)
{
    const struct snap_sides *s = &p->sides[rule];
    bool at_src = rk_bitmap_test(&s->src, v->index), at_dst = rk_bitmap_test(&s->dst, v->index);

    if (at_dst)
        rk_bitmap_or(&v->seen, &s->src);
    if (at_src && !s->equal)
        rk_bitmap_or(&v->seen, &s->dst);
    if (at_dst && p->code->rules[rule].grants_ssh)
        v->grants_ssh = true;
    return at_src || at_dst;
}

static void found(struct compile_view *v, const struct compile_hit *h)
{
    if (v->hits_n == v->hits_room) {
        v->hits_room = v->hits_room > 0 ? 2 * v->hits_room : 32;
        v->hits = rk_realloc(v->hits, v->hits_room * sizeof(*v->hits));
    }
    v->hits[v->hits_n++] = *h;
}

void compile_look_rules(struct compile_view *v)
{
    for (size_t i = 0; i < v->s->policies_n; i++) {
        const struct snap_policy *p = v->s->policies[i];
        const struct compile_rule *rules = p->code->rules;
        size_t n = p->code->row->rules_n;

        for (size_t head = 0; head < n; head++) {
            struct compile_hit h = { .policy = p, .head = head, .alone = true };
            bool any;

            if (rules[head].twin != head)
                continue;
            any = look_rule(v, p, head);
            for (size_t k = head + 1; k < n; k++)
                if (rules[k].twin == head) {
                    any = look_rule(v, p, k) || any;
                    h.alone = false;
                }
            if (any)
                found(v, &h);
        }
    }
    rk_bitmap_unset(&v->seen, v->index);
}
