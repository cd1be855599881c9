#include "libcommon/account/compile/int.h"

/* The receiver's own configuration. */

#include <arpa/inet.h>
#include <string.h>

void compile_put_config(const struct rk_snapshot *s,
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
    if (ssh)
        compile_put_jwt_config(b);
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
    const struct compile_peer *me = snap_slot(s, index)->peer;
    bool sup6 = me->sup6;

    if (claims)
        sup6 = (claims->capabilities & RK_CAP_IPV6) && !claims->flag_disable_ipv6;
    compile_put_config(s, me, me->row->ssh_enabled || ssh_granted(s, index), sup6, out);
}

void rk_compile_session_expiry(const struct rk_snapshot *s, size_t index, struct rk_buf *out)
{
    const struct rk_peer_row *r = snap_slot(s, index)->peer->row;
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

void rk_compile_checks(const struct rk_snapshot *s,
                       size_t index,
                       unsigned field,
                       struct rk_buf *out)
{
    rk_auto(rk_bitmap_done) struct rk_bitmap asked;

    rk_bitmap_init(&asked);
    for (size_t i = 0; i < s->policies_n; i++) {
        const struct rk_ids *checks = &s->policies[i]->code->row->posture_checks;

        if (!rk_bitmap_test(&s->policies[i]->checked, index))
            continue;
        for (size_t k = 0; k < checks->n; k++) {
            bool found;
            size_t at = snap_posture_place(s, checks->v[k], &found);

            if (found)
                rk_bitmap_set(&asked, at);
        }
    }
    for (size_t i = rk_bitmap_next(&asked, 0); i != SIZE_MAX; i = rk_bitmap_next(&asked, i + 1))
        if (s->posture.v[i]->files_n > 0)
            rk_wire_str(out, field,
                        rk_strn((const char *)s->posture.v[i]->files, s->posture.v[i]->files_n));
}
