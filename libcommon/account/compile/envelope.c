#include "libcommon/account/compile/envelope_int.h"

/*
 * The component envelope: instead of its map a peer gets what the map is made of, as far as it
 * concerns the peer, and computes the map itself. Whoever is not shipped does not exist for the
 * agent, so only approved peers are; whether a login has expired it finds by its own clock.
 *
 * Everything is in the order of ids, as in a map.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    TAG_RECORD = 15 << 3 | 2,
    FIELD_ZONE = 16
};

void envelope_done(struct envelope *e)
{
    rk_bitmap_done(&e->groups);
    rk_bitmap_done(&e->rules);
    rk_bitmap_done(&e->guards);
    rk_bitmap_done(&e->opens);
    rk_bitmap_done(&e->checks);
    rk_bitmap_done(&e->routes);
    rk_bitmap_done(&e->reached);
    free(e->first_rule);
    free(e->number);
}

/* --- references ----------------------------------------------------------------------------- */

void envelope_want_group(struct envelope *e, const char *id)
{
    bool found;
    size_t at = snap_group_place(e->v->s, id, &found);

    if (found)
        rk_bitmap_set(&e->groups, at);
}

void envelope_want_groups(struct envelope *e, char (*ids)[RK_XID_LEN + 1], size_t n)
{
    for (size_t i = 0; i < n; i++)
        envelope_want_group(e, ids[i]);
}

void envelope_put_groups(const struct envelope *e,
                         unsigned field,
                         char (*ids)[RK_XID_LEN + 1],
                         size_t n,
                         struct rk_buf *b)
{
    bool found;

    for (size_t i = 0; i < n; i++) {
        size_t at = snap_group_place(e->v->s, ids[i], &found);

        if (found && rk_bitmap_test(&e->groups, at))
            rk_wire_str(b, field, rk_str(e->v->s->groups[at]->row->public_id));
    }
}

void envelope_put_peer(const struct envelope *e,
                       const char *id,
                       unsigned set_field,
                       unsigned index_field,
                       struct rk_buf *b)
{
    size_t index = rk_snapshot_find_id(e->v->s, rk_str(id));

    if (index == RK_NO_PEER || !rk_bitmap_test(&e->v->visible, index))
        return;
    rk_wire_bool(b, set_field, true);
    rk_wire_uint(b, index_field, e->number[index]);
}

void envelope_put_set(const struct envelope *e,
                      unsigned field,
                      const struct rk_bitmap *set,
                      struct rk_buf *b)
{
    struct compile_list l = compile_in_order(e->v, set);
    size_t at = rk_wire_begin(b, field);

    for (size_t i = 0; i < l.n; i++)
        rk_wire_varint(b, e->number[l.v[i]]);
    rk_wire_end(b, at);
}

/* --- the parts ------------------------------------------------------------------------------ */

static void put_network(const struct rk_snapshot *s, struct rk_buf *b)
{
    const struct rk_account_row *a = s->account;
    struct rk_prefix net = { AF_INET, a->net4_bits, { 0 } };
    char text[RK_PREFIX_LEN];
    size_t at = rk_wire_begin(b, 3);

    memcpy(net.addr, a->net4, sizeof(a->net4));
    rk_prefix_format(&net, text);
    rk_wire_str(b, 1, rk_str(a->network_id));
    rk_wire_str(b, 2, rk_str(text));
    if (a->has_net6) {
        net = (struct rk_prefix){ AF_INET6, a->net6_bits, { 0 } };
        memcpy(net.addr, a->net6, sizeof(a->net6));
        rk_prefix_format(&net, text);
        rk_wire_str(b, 3, rk_str(text));
    }
    rk_wire_uint(b, 5, s->serial);
    rk_wire_end(b, at);
}

/* A peer that was logged out by hand is one whose login is long over, even where logins never end;
 * then nobody else's does. */
static void put_settings(const struct compile_view *v, struct rk_buf *b)
{
    const struct rk_account_row *a = v->s->account;
    bool expire = a->peer_login_expiration_enabled || !rk_bitmap_empty(&v->offline);
    size_t at = rk_wire_begin(b, 4);

    rk_wire_bool(b, 1, expire);
    rk_wire_uint(b, 2, (uint64_t)a->peer_login_expiration_s * 1000000000u);
    rk_wire_end(b, at);
}

static void put_peer(const struct snap_slot *slot, struct rk_buf *b)
{
    const struct compile_peer *x = slot->peer;
    const struct rk_peer_row *r = x->row;
    bool flagged = slot->expires_at_us == INT64_MIN;
    size_t at = rk_wire_begin(b, 9);

    rk_wire_bytes_always(b, 1, rk_strn(r->key, sizeof(r->key)));
    rk_wire_bytes_always(b, 2, rk_strn(r->ip4, sizeof(r->ip4)));
    if (r->has_ip6)
        rk_wire_bytes_always(b, 3, rk_strn(r->ip6, sizeof(r->ip6)));
    rk_wire_str(b, 4, rk_str(r->ssh_key));
    rk_wire_str(b, 5, rk_str(r->dns_label));
    rk_wire_str(b, 6, rk_str(r->version));
    rk_wire_bool(b, 7, flagged || rk_str(r->user_id).n > 0);
    rk_wire_bool(b, 8, slot->expires_at_us != INT64_MAX);
    if (!flagged && r->last_login_us != INT64_MIN)
        rk_wire_uint(b, 9, (uint64_t)r->last_login_us * 1000u);
    rk_wire_bool(b, 10, r->ssh_enabled);
    rk_wire_bool(b, 11, x->sup6);
    rk_wire_bool(b, 12, x->source_prefixes);
    rk_wire_bool(b, 13, r->flag_server_ssh_allowed);
    rk_wire_end(b, at);
}

static void put_peers(struct envelope *e, struct rk_buf *b)
{
    const struct rk_snapshot *s = e->v->s;
    struct compile_list l = compile_in_order(e->v, &e->v->visible);

    e->number = rk_new_array(uint32_t, rk_snapshot_peer_bound(s) + 1);
    for (uint32_t i = 0; i < l.n; i++) {
        e->number[l.v[i]] = i;
        put_peer(snap_slot(s, l.v[i]), b);
    }
}

static void put_groups(const struct envelope *e, struct rk_buf *b)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap members;

    rk_bitmap_init(&members);
    for (size_t i = rk_bitmap_next(&e->groups, 0); i != SIZE_MAX;
         i = rk_bitmap_next(&e->groups, i + 1)) {
        const struct snap_group *g = e->v->s->groups[i];
        size_t at = rk_wire_begin(b, 12);

        rk_bitmap_copy(&members, &g->members);
        rk_bitmap_and(&members, &e->v->visible);
        rk_wire_str(b, 1, rk_str(g->row->public_id));
        if (!rk_bitmap_empty(&members))
            envelope_put_set(e, 2, &members, b);
        rk_wire_bool(b, 3, g->row->is_all);
        rk_wire_end(b, at);
    }
}

static void put_dns_settings(const struct envelope *e, struct rk_buf *b)
{
    const struct rk_ids *off = &e->v->s->account->dns_disabled_groups;
    size_t before = b->n, at = rk_wire_begin(b, 5), empty = b->n;

    envelope_put_groups(e, 1, off->v, off->n, b);
    if (b->n == empty)
        b->n = before;
    else
        rk_wire_end(b, at);
}

static void put_nsgroup(const struct envelope *e, const struct rk_nsgroup_row *g, struct rk_buf *b)
{
    size_t at = rk_wire_begin(b, 14), server;

    rk_wire_str(b, 1, rk_str(g->public_id));
    for (size_t i = 0; i < g->servers_n; i++) {
        server = rk_wire_begin(b, 2);
        rk_wire_str(b, 1, rk_str(g->servers[i].ip));
        rk_wire_uint(b, 2, 1);
        rk_wire_uint(b, 3, g->servers[i].port);
        rk_wire_end(b, server);
    }
    envelope_put_groups(e, 3, g->groups.v, g->groups.n, b);
    rk_wire_bool(b, 4, g->primary);
    for (size_t i = 0; i < g->domains.n; i++)
        rk_wire_str(b, 5, rk_str(g->domains.v[i]));
    rk_wire_bool(b, 6, true);
    rk_wire_bool(b, 7, g->search_domains);
    rk_wire_end(b, at);
}

/* The fields of `from`, all of them messages with a tag of one byte, under another such tag. */
static void put_retagged(const uint8_t *from, size_t n, uint8_t tag, struct rk_buf *b)
{
    size_t i = 0;

    while (i < n) {
        size_t begin = i++, len = 0, at = b->n;

        for (unsigned shift = 0; i < n; shift += 7) {
            uint8_t c = from[i++];

            len |= (size_t)(c & 127) << shift;
            if (c < 128)
                break;
        }
        i += len;
        if (rk_buf_put(b, from + begin, i - begin))
            b->p[at] = tag;
    }
}

static void put_records(const struct envelope *e, struct rk_buf *b)
{
    const struct compile_view *v = e->v;
    struct compile_list l = compile_in_order(e->v, &v->named);

    for (size_t i = 0; i < l.n; i++) {
        const struct compile_peer *x = snap_slot(v->s, l.v[i])->peer;
        struct compile_span span = v->me->v6 ? x->dns6 : x->dns4;

        put_retagged(x->bytes + span.at, span.n, TAG_RECORD, b);
    }
}

/* Nameserver groups, the peers' names, zones. */
static void put_dns(const struct envelope *e, struct rk_buf *b)
{
    const struct snap_dns *dns = &e->v->s->dns;

    for (size_t i = 0; i < dns->nsgroups.n; i++)
        if (rk_bitmap_test(&dns->nsgroups.v[i]->who, e->v->index))
            put_nsgroup(e, (const struct rk_nsgroup_row *)dns->nsgroups.v[i]->row, b);
    if (!rk_bitmap_test(&dns->off, e->v->index))
        put_records(e, b);
    for (size_t i = 0; i < dns->zones.n; i++) {
        const struct snap_served *z = dns->zones.v[i];

        if (!rk_bitmap_test(&z->who, e->v->index) || z->bytes_n == 0)
            continue;
        rk_wire_varint(b, FIELD_ZONE << 3 | 2);
        (void)rk_buf_put(b, z->bytes + 1, z->bytes_n - 1);
    }
}

static void put_domain(const struct rk_snapshot *s, struct rk_buf *b)
{
    struct rk_str domain = rk_str(s->account->dns_domain);
    size_t at;

    rk_wire_str(b, 6, domain);
    if (domain.n == 0)
        return;
    at = rk_wire_begin(b, 7);
    (void)rk_buf_put_str(b, domain);
    (void)rk_buf_put_u8(b, '.');
    rk_wire_end(b, at);
}

static void put_tail(const struct rk_snapshot *s, struct rk_buf *b)
{
    rk_wire_uint(b, 23, (uint64_t)s->forwarder_port);
    rk_wire_str(b, 25, rk_str(compile_user_claim()));
}

/* --- the whole ------------------------------------------------------------------------------ */

static void look(struct envelope *e)
{
    const struct rk_snapshot *s = e->v->s;
    size_t n = 0;

    e->first_rule = rk_new_array(size_t, s->policies_n + 1);
    for (size_t i = 0; i < s->policies_n; i++) {
        e->first_rule[i] = n;
        n += s->policies[i]->code->row->rules_n;
    }
    for (size_t i = 0; i < s->groups_n; i++)
        if (rk_bitmap_test(&s->groups[i]->members, e->v->index))
            rk_bitmap_set(&e->groups, i);
    envelope_look_rules(e);
    envelope_look_routes(e);
}

static void put_components(struct compile_view *v, struct rk_str peer_config, struct rk_buf *b)
{
    rk_auto(envelope_done) struct envelope e = { .v = v };

    look(&e);
    rk_wire_uint(b, 1, v->s->serial);
    rk_wire_str(b, 2, peer_config);
    put_network(v->s, b);
    put_settings(v, b);
    put_dns_settings(&e, b);
    put_domain(v->s, b);
    put_peers(&e, b);
    envelope_put_router_peers(&e, b);
    envelope_put_policies(&e, b);
    put_groups(&e, b);
    envelope_put_routes(&e, b);
    put_dns(&e, b);
    envelope_put_resources(&e, b);
    envelope_put_users(&e, b);
    envelope_put_posture(&e, b);
    put_tail(v->s, b);
}

/* A peer that waits for approval gets itself alone, in a group without DNS. */
static void put_nothing(const struct compile_view *v, struct rk_str peer_config, struct rk_buf *b)
{
    static const char only[] = "-";
    size_t at;

    rk_wire_uint(b, 1, v->s->serial);
    rk_wire_str(b, 2, peer_config);
    put_network(v->s, b);
    at = rk_wire_begin(b, 4);
    rk_wire_end(b, at);
    at = rk_wire_begin(b, 5);
    rk_wire_str(b, 1, rk_str(only));
    rk_wire_end(b, at);
    put_domain(v->s, b);
    put_peer(snap_slot(v->s, v->index), b);
    at = rk_wire_begin(b, 12);
    rk_wire_str(b, 1, rk_str(only));
    rk_wire_str(b, 2, RK_STR("\0"));
    rk_wire_end(b, at);
    put_tail(v->s, b);
}

void rk_compile_components(const struct rk_snapshot *s,
                           size_t index,
                           int64_t now_us,
                           struct rk_buf *out)
{
    rk_auto(compile_view_done) struct compile_view v;
    rk_auto(rk_buf_done) struct rk_buf config;
    size_t envelope, full;

    compile_view_init(&v, s, index, now_us);
    rk_buf_init(&config, 64 * 1024);
    if (rk_bitmap_test(&s->approved, index))
        compile_look(&v);
    compile_put_config(s, v.me, v.me->row->ssh_enabled || v.grants_ssh, v.me->sup6, &config);
    rk_wire_str(out, 2, rk_buf_str(&config));
    rk_compile_checks(s, index, 6, out);
    compile_put_session(s, index, out);
    envelope = rk_wire_begin(out, 8);
    full = rk_wire_begin(out, 1);
    if (rk_bitmap_test(&s->approved, index))
        put_components(&v, rk_buf_str(&config), out);
    else
        put_nothing(&v, rk_buf_str(&config), out);
    rk_wire_end(out, full);
    rk_wire_end(out, envelope);
    rk_wire_uint(out, 9, 1);
}
