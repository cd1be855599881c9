#include "libcommon/account/compile_int.h"

/* DNSConfig. Places for what is not sent yet are marked with their field number. */

void compile_put_dns(struct compile_view *v, struct rk_buf *b)
{
    const struct rk_bitmap *set = compile_by_rank(v, &v->named);
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
            const struct compile_peer *x = compile_slot_at(v->s, i)->peer;
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
