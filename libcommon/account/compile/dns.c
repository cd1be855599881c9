#include "libcommon/account/compile/int.h"

/* DNSConfig. Nameserver groups and zones are copied as the snapshot has them encoded. */

#include <arpa/inet.h>

enum {
    NEAR_A_RECORD = 64
}; /* bytes; as NEAR_A_PEER in compile.c */

/* Of the peers' zone, which is most of the configuration. */
static size_t near_zone(const struct compile_view *v)
{
    return (v->me->v6 ? 2 : 1) * NEAR_A_RECORD * rk_bitmap_count(&v->named);
}

/* An agent that is itself one of the group's servers would ask itself. */
static bool serves_itself(const struct compile_view *v, const struct rk_nsgroup_row *g)
{
    char ip[INET_ADDRSTRLEN];

    (void)inet_ntop(AF_INET, v->me->row->ip4, ip, sizeof(ip));
    for (size_t i = 0; i < g->servers_n; i++)
        if (strcmp(g->servers[i].ip, ip) == 0)
            return true;
    return false;
}

static void put_nsgroups(const struct compile_view *v, struct rk_buf *b)
{
    const struct snap_serving *l = &v->s->dns.nsgroups;

    for (size_t i = 0; i < l->n; i++)
        if (rk_bitmap_test(&l->v[i]->who, v->index) &&
            !serves_itself(v, (const struct rk_nsgroup_row *)l->v[i]->row))
            (void)rk_buf_put(b, l->v[i]->bytes, l->v[i]->bytes_n);
}

static void put_peers_zone(struct compile_view *v, struct rk_buf *b)
{
    struct compile_list l = compile_in_order(v, &v->named);
    struct rk_str domain = rk_str(v->s->account->dns_domain);
    size_t before = b->n, near = near_zone(v), zone, name, records;

    if (domain.n == 0)
        return;
    zone = rk_wire_begin_near(b, 3, near);
    name = rk_wire_begin(b, 1);
    (void)rk_buf_put_str(b, domain);
    (void)rk_buf_put_u8(b, '.');
    rk_wire_end(b, name);
    records = b->n;
    for (size_t i = 0; i < l.n; i++) {
        const struct compile_peer *x = snap_slot(v->s, l.v[i])->peer;
        struct compile_span span = v->me->v6 ? x->dns6 : x->dns4;

        compile_fetch_ahead(v, l, i);
        (void)rk_buf_put(b, x->bytes + span.at, span.n);
    }
    if (b->n == records && !b->overflow)
        b->n = before; /* a zone without records is not sent */
    else
        rk_wire_end_near(b, zone, near);
}

static void put_zones(const struct compile_view *v, struct rk_buf *b)
{
    const struct snap_serving *l = &v->s->dns.zones;

    for (size_t i = 0; i < l->n; i++)
        if (rk_bitmap_test(&l->v[i]->who, v->index))
            (void)rk_buf_put(b, l->v[i]->bytes, l->v[i]->bytes_n);
}

void compile_put_dns(struct compile_view *v, struct rk_buf *b)
{
    bool on = !rk_bitmap_test(&v->s->dns.off, v->index);
    size_t near = on ? near_zone(v) : 0, dns = rk_wire_begin_near(b, 6, near);

    rk_wire_bool(b, 1, on);
    if (on) {
        put_nsgroups(v, b);
        put_peers_zone(v, b);
        put_zones(v, b);
    }
    rk_wire_uint(b, 4, (uint64_t)v->s->forwarder_port);
    rk_wire_end_near(b, dns, near);
}
