#include "libcommon/account/compile.h"

/*
 * The map, written front to back into the buffer from encoded fragments. One walk over the rules
 * finds, for each that the receiver is in, the peers behind it (IN and OUT) and writes the firewall
 * rules aside; what the walk saw is then the list of remote peers and of the zone's records. Peers
 * appear in the order of their ids, rules in the order of their policies' ids: unchanged maps are
 * the same bytes on every replica.
 *
 * Fields of each message in ascending order. Places for what is not sent yet are marked with their
 * field number.
 */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/account/snapshot_int.h"
#include "libcommon/account/wire.h"
#include "libcommon/base/alloc.h"

enum {
    TAG_MAP_REMOTE = 3 << 3 | 2,
    TAG_MAP_OFFLINE = 7 << 3 | 2,
    TAG_SYNC_REMOTE = 3 << 3 | 2,
    TAG_MAP_RULE = 8 << 3 | 2
};
enum {
    RULES_BYTES_MAX = 1024 * 1024 * 1024
}; /* our own scratch; the caller's limit is the one that counts */

/* What one walk over the rules found out for a receiver. */
struct view {
    const struct rk_snapshot *s;
    const struct compile_peer *me;
    size_t index;
    struct rk_bitmap seen;    /* ACL: everyone behind some rule, in rank order when ranked */
    struct rk_bitmap in, out; /* of the rule at hand */
    struct rk_bitmap ranked;  /* scratch */
    struct rk_buf rules;      /* FirewallRules, with tags */
    bool grants_ssh;
};

static void view_done(struct view *v)
{
    rk_bitmap_done(&v->seen);
    rk_bitmap_done(&v->in);
    rk_bitmap_done(&v->out);
    rk_bitmap_done(&v->ranked);
    rk_buf_done(&v->rules);
}
RK_DEFINE_AUTO_DONE(struct view, view_done)

/* The set by rank instead of index, so that its walk is in id order. Costs nothing while both
 * orders agree. */
static const struct rk_bitmap *by_rank(struct view *v, const struct rk_bitmap *set)
{
    if (v->s->in_order)
        return set;
    rk_bitmap_clear(&v->ranked);
    for (size_t i = rk_bitmap_next(set, 0); i != SIZE_MAX; i = rk_bitmap_next(set, i + 1))
        rk_bitmap_set(&v->ranked, v->s->rank[i]);
    return &v->ranked;
}

static inline const struct snap_slot *slot_at(const struct rk_snapshot *s, size_t place)
{
    return &s->slots[s->in_order ? place : s->order[place]];
}

/* --- firewall rules
 * -----------------------------------------------------------------------------------------------
 */

static inline uint8_t *put_bytes(uint8_t *at, const uint8_t *p, size_t n)
{
    memcpy(at, p, n);
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

static void
put_direction(struct view *v, const struct rk_bitmap *set, const struct compile_parts *parts)
{
    const struct compile_span none = { 0, 0 };
    bool prefixes = v->me->source_prefixes, dual = v->me->v6;

    set = by_rank(v, set);
    for (size_t i = rk_bitmap_next(set, 0); i != SIZE_MAX; i = rk_bitmap_next(set, i + 1)) {
        const struct compile_peer *x = slot_at(v->s, i)->peer;
        size_t from = 0;

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
static void walk_rule(struct view *v, const struct snap_policy *p, size_t head)
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
    put_direction(v, &v->in, &code->rules[head].parts[COMPILE_IN][v->me->cls]);
    put_direction(v, &v->out, &code->rules[head].parts[COMPILE_OUT][v->me->cls]);
}

static bool concerns(const struct snap_sides *v, size_t index)
{
    return rk_bitmap_test(&v->src, index) || rk_bitmap_test(&v->dst, index);
}

static void walk_rules(struct view *v)
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

/* --- the parts of the map
 * ------------------------------------------------------------------------------------------ */

enum which {
    ONLINE,
    OFFLINE
};

/* Returns how many. `tag` replaces the fragment's own. */
static size_t put_remotes(const struct view *v,
                          const struct rk_bitmap *set,
                          enum which which,
                          int64_t now_us,
                          uint8_t tag,
                          struct rk_buf *b)
{
    size_t n = 0;

    for (size_t i = rk_bitmap_next(set, 0); i != SIZE_MAX; i = rk_bitmap_next(set, i + 1)) {
        const struct snap_slot *slot = slot_at(v->s, i);
        const struct compile_peer *x = slot->peer;
        struct compile_span span = v->me->v6 ? x->remote6 : x->remote4;
        size_t at = b->n;

        if ((slot->expires_at_us <= now_us) != (which == OFFLINE))
            continue;
        n++;
        if (rk_buf_put(b, x->bytes + span.at, span.n))
            b->p[at] = tag;
    }
    return n;
}

static void put_dns(const struct view *v, const struct rk_bitmap *set, struct rk_buf *b)
{
    struct rk_str domain = rk_str(v->s->account->dns_domain);
    size_t dns = rk_wire_begin(b, 6), before = b->n, zone, sub, records;

    rk_wire_bool(b, 1, true);
    /* 2 NameServerGroups */
    if (domain.n > 0) {
        before = b->n;
        zone = rk_wire_begin(b, 3);
        sub = rk_wire_begin(b, 1);
        (void)rk_buf_put_str(b, domain);
        (void)rk_buf_put_u8(b, '.');
        rk_wire_end(b, sub);
        records = b->n;
        for (size_t i = rk_bitmap_next(set, 0); i != SIZE_MAX; i = rk_bitmap_next(set, i + 1)) {
            const struct compile_peer *x = slot_at(v->s, i)->peer;
            struct compile_span span = v->me->v6 ? x->dns6 : x->dns4;

            (void)rk_buf_put(b, x->bytes + span.at, span.n);
        }
        if (b->n == records && !b->overflow)
            b->n = before; /* a zone without records is not sent */
        else
            rk_wire_end(b, zone);
    }
    rk_wire_uint(b, 4, (uint64_t)v->s->forwarder_port);
    rk_wire_end(b, dns);
}

static void put_ssh_auth(struct rk_buf *b)
{
    size_t at = rk_wire_begin(b, 13);

    rk_wire_str(b, 1, RK_STR("sub"));
    /* 2 AuthorizedUsers, 3 machine_users */
    rk_wire_end(b, at);
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

/* --- the receiver's own configuration
 * ------------------------------------------------------------------------------ */

static void put_peer_config(const struct rk_snapshot *s,
                            const struct compile_peer *me,
                            bool ssh,
                            bool sup6,
                            struct rk_buf *b)
{
    const struct rk_account_row *a = s->account;
    const struct rk_peer_row *r = me->row;
    char text[INET_ADDRSTRLEN];
    size_t at;

    (void)inet_ntop(AF_INET, r->ip4, text, sizeof(text));
    at = rk_wire_begin(b, 1);
    (void)rk_buf_printf(b, "%s/%u", text, a->net4_bits);
    rk_wire_end(b, at);
    at = rk_wire_begin(b, 3); /* present even when off */
    rk_wire_bool(b, 1, ssh);
    /* 3 jwtConfig */
    rk_wire_end(b, at);
    compile_put_fqdn(b, 4, r->dns_label, a->dns_domain);
    rk_wire_bool(b, 5, a->routing_peer_dns_resolution_enabled);
    rk_wire_bool(b, 6, a->lazy_connection_enabled);
    at = rk_wire_begin(b, 8);
    rk_wire_str(b, 1,
                rk_str(a->auto_update_version).n > 0 ? rk_str(a->auto_update_version)
                                                     : RK_STR("disabled"));
    rk_wire_bool(b, 2, a->auto_update_always);
    rk_wire_end(b, at);
    if (sup6 && r->has_ip6 && a->has_net6) {
        uint8_t prefix[17];

        memcpy(prefix, r->ip6, 16);
        prefix[16] = a->net6_bits;
        rk_wire_bytes_always(b, 9, rk_strn(prefix, sizeof(prefix)));
    }
}

static bool ssh_granted(const struct rk_snapshot *s, size_t index)
{
    for (size_t i = 0; i < s->policies_n; i++)
        for (size_t k = 0; k < s->policies[i]->code->row->rules_n; k++)
            if (s->policies[i]->code->rules[k].grants_ssh &&
                rk_bitmap_test(&s->policies[i]->sides[k].dst, index))
                return true;
    return false;
}

void rk_compile_peer_config(const struct rk_snapshot *s,
                            size_t index,
                            const struct rk_peer_claims *claims,
                            struct rk_buf *out)
{
    const struct compile_peer *me = s->slots[index].peer;
    bool sup6 = me->sup6;

    if (claims)
        sup6 = (claims->capabilities & RK_CAP_IPV6) && !claims->flag_disable_ipv6;
    put_peer_config(s, me, me->row->ssh_enabled || ssh_granted(s, index), sup6, out);
}

void rk_compile_session_expiry(const struct rk_snapshot *s, size_t index, struct rk_buf *out)
{
    const struct rk_peer_row *r = s->slots[index].peer->row;
    const struct rk_account_row *a = s->account;
    int64_t at, sec, us;

    if (!a->peer_login_expiration_enabled || !r->login_expiration_enabled ||
        rk_str(r->user_id).n == 0 || r->last_login_us == INT64_MIN)
        return;
    at = r->last_login_us + a->peer_login_expiration_s * 1000000;
    sec = at / 1000000;
    us = at % 1000000;
    if (us < 0) { /* nanos count forward */
        us += 1000000;
        sec--;
    }
    rk_wire_uint(out, 1, (uint64_t)sec);
    rk_wire_uint(out, 2, (uint64_t)us * 1000);
}

static void put_session(const struct rk_snapshot *s, size_t index, struct rk_buf *out)
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

static void put_map(struct view *v, int64_t now_us, struct rk_str peer_config, struct rk_buf *out)
{
    const struct rk_bitmap *remotes = by_rank(v, &v->seen);
    size_t map = rk_wire_begin(out, 5), n;

    rk_wire_uint(out, 1, v->s->serial);
    rk_wire_str(out, 2, peer_config);
    n = put_remotes(v, remotes, ONLINE, now_us, TAG_MAP_REMOTE, out);
    rk_wire_bool(out, 4, n == 0);
    /* 5 Routes */
    rk_bitmap_set(&v->seen, v->index); /* the zone has the receiver too */
    put_dns(v, by_rank(v, &v->seen), out);
    rk_bitmap_unset(&v->seen, v->index);
    (void)put_remotes(v, by_rank(v, &v->seen), OFFLINE, now_us, TAG_MAP_OFFLINE, out);
    (void)rk_buf_put(out, v->rules.p, v->rules.n);
    rk_wire_bool(out, 9, v->rules.n == 0);
    /* 10 routesFirewallRules */
    rk_wire_bool(out, 11, true);
    /* 12 forwardingRules */
    put_ssh_auth(out);
    rk_wire_end(out, map);
}

void rk_compile_map(const struct rk_snapshot *s, size_t index, int64_t now_us, struct rk_buf *out)
{
    rk_auto(view_done) struct view v = { .s = s, .index = index, .me = s->slots[index].peer };
    rk_auto(rk_buf_done) struct rk_buf config;
    bool approved = rk_bitmap_test(&s->approved, index);
    size_t n = 0;

    rk_buf_init(&config, 64 * 1024);
    rk_buf_init(&v.rules, RULES_BYTES_MAX);
    if (approved)
        walk_rules(&v);
    put_peer_config(s, v.me, v.me->row->ssh_enabled || v.grants_ssh, v.me->sup6, &config);
    rk_wire_str(out, 2, rk_buf_str(&config));
    if (v.me->duplicate_peers)
        (void)put_remotes(&v, by_rank(&v, &v.seen), ONLINE, now_us, TAG_SYNC_REMOTE, out);
    for (size_t i = rk_bitmap_next(&v.seen, 0); i != SIZE_MAX && n == 0;
         i = rk_bitmap_next(&v.seen, i + 1))
        n += s->slots[i].expires_at_us > now_us;
    rk_wire_bool(out, 4, n == 0);
    if (approved)
        put_map(&v, now_us, rk_buf_str(&config), out);
    else
        put_empty_lists(out, s->serial, rk_buf_str(&config), s->forwarder_port);
    /* 6 Checks */
    put_session(s, index, out);
}
