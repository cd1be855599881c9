#include "libcommon/account/compile/int.h"

/* Firewall rules: one walk over the rules that the receiver is in. */

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

static void put_direction(struct compile_view *v,
                          const struct rk_bitmap *set,
                          const struct compile_parts *parts,
                          struct rk_buf *b)
{
    bool prefix = v->me->source_prefixes, dual = v->me->v6;
    size_t parts_n = parts->n > 0 ? parts->ends[parts->n - 1] : 0;

    set = compile_by_rank(v, set);
    for (size_t i = rk_bitmap_next(set, 0); i != SIZE_MAX; i = rk_bitmap_next(set, i + 1)) {
        const struct snap_slot *slot = compile_slot_at(v->s, i);
        /* Whether the remote itself can do IPv6 does not matter here. */
        const struct compile_peer *six = dual && slot->peer->ip6.n > 0 ? slot->peer : NULL;
        size_t room = parts_n + parts->n * RULE4_MAX + COMPILE_SLACK, from = 0;
        uint8_t *at;

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

/* A rule together with those of its policy that are the same on the wire: each remote address
 * appears once. */
static void
walk_rule(struct compile_view *v, const struct snap_policy *p, size_t head, struct rk_buf *b)
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
    if (!b)
        return;
    put_direction(v, &v->in, &code->rules[head].parts[COMPILE_IN][v->me->cls], b);
    put_direction(v, &v->out, &code->rules[head].parts[COMPILE_OUT][v->me->cls], b);
}

static bool concerns(const struct snap_sides *v, size_t index)
{
    return rk_bitmap_test(&v->src, index) || rk_bitmap_test(&v->dst, index);
}

void compile_walk_rules(struct compile_view *v, struct rk_buf *b)
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
                walk_rule(v, p, head, b);
        }
    }
}
