#include "libcommon/account/compile/peer.h"

/*
 * One block of bytes a peer; the spans point into it. A span that begins with a tag is copied as it
 * is; offlinePeers and the duplicate remotePeers are the same bytes under another one-byte tag, so
 * the tag is overwritten in the copy.
 */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/account/model/version.h"
#include "libcommon/account/compile/wire.h"
#include "libcommon/base/alloc.h"

enum {
    RECORD_A = 1,
    RECORD_AAAA = 28,
    PEER_TTL_S = 300
};
enum {
    PEER_BYTES_MAX = 1024 * 1024
}; /* labels and keys are bounded where they are stored */

/* As text, once for all of the places that have it: the C library takes its time. */
struct addresses {
    char ip4[INET6_ADDRSTRLEN], ip6[INET6_ADDRSTRLEN]; /* ip6 "" without one */
};

static struct addresses addresses_of(const struct rk_peer_row *r)
{
    struct addresses a = { "", "" };

    (void)inet_ntop(AF_INET, r->ip4, a.ip4, sizeof(a.ip4));
    if (r->has_ip6)
        (void)inet_ntop(AF_INET6, r->ip6, a.ip6, sizeof(a.ip6));
    return a;
}

static struct compile_span span_since(const struct rk_buf *b, size_t begin)
{
    return (struct compile_span){ (uint32_t)begin, (uint32_t)(b->n - begin) };
}

void compile_put_fqdn(struct rk_buf *b, unsigned field, const char *label, const char *domain)
{
    size_t at;

    if (rk_str(domain).n == 0)
        return;
    at = rk_wire_begin(b, field);
    (void)rk_buf_put_str(b, rk_str(label));
    (void)rk_buf_put_u8(b, '.');
    (void)rk_buf_put_str(b, rk_str(domain));
    rk_wire_end(b, at);
}

/* "address/bits" as a field of its own. Ends in *out. */
static void
put_allowed(struct rk_buf *b, const char *ip, const char *bits, struct compile_span *out)
{
    size_t begin = b->n, sub = rk_wire_begin(b, 2);

    (void)rk_buf_put_c(b, ip);
    (void)rk_buf_put_c(b, bits);
    rk_wire_end(b, sub);
    *out = span_since(b, begin);
}

/* The spans inside are found where the message's length, written last, has moved them to. */
static struct compile_span put_remote(struct rk_buf *b,
                                      struct compile_peer *p,
                                      const struct addresses *ip,
                                      const char *domain,
                                      bool dual)
{
    const struct rk_peer_row *r = p->row;
    size_t begin = b->n, at, sub, moved;

    at = rk_wire_begin(b, 3);
    rk_wire_str(b, 1, rk_str(r->key_b64));
    p->key = span_since(b, at);
    put_allowed(b, ip->ip4, "/32", &p->allowed4);
    if (dual && r->has_ip6)
        put_allowed(b, ip->ip6, "/128", &p->allowed6);
    sub = rk_wire_begin(b, 3); /* always present, only the host key in it */
    rk_wire_str(b, 2, rk_str(r->ssh_key));
    rk_wire_end(b, sub);
    compile_put_fqdn(b, 4, r->dns_label, domain);
    rk_wire_str(b, 5, rk_str(r->version));
    moved = b->n;
    rk_wire_end(b, at);
    moved = b->n - moved;
    p->key.at += (uint32_t)moved;
    p->allowed4.at += (uint32_t)moved;
    p->allowed6.at += (uint32_t)moved;
    return span_since(b, begin);
}

static void put_record(
    struct rk_buf *b, const char *label, const char *domain, unsigned type, const char *address)
{
    size_t at = rk_wire_begin(b, 2);

    compile_put_fqdn(b, 1, label, domain);
    rk_wire_uint(b, 2, type);
    rk_wire_str(b, 3, RK_STR("IN"));
    rk_wire_uint(b, 4, PEER_TTL_S);
    rk_wire_str(b, 5, rk_str(address));
    rk_wire_end(b, at);
}

/* Records exist only in a zone, so without a domain there are none. */
static struct compile_span put_records(struct rk_buf *b,
                                       const struct rk_peer_row *r,
                                       const struct addresses *ip,
                                       const char *domain,
                                       bool aaaa)
{
    size_t begin = b->n;

    if (rk_str(domain).n == 0)
        return span_since(b, begin);
    for (size_t i = 0; i <= r->extra_dns_labels_n; i++) {
        const char *label = i == 0 ? r->dns_label : r->extra_dns_labels[i - 1];

        if (rk_str(label).n == 0)
            continue;
        put_record(b, label, domain, RECORD_A, ip->ip4);
        if (aaaa)
            put_record(b, label, domain, RECORD_AAAA, ip->ip6);
    }
    return span_since(b, begin);
}

static struct compile_span put_ip(struct rk_buf *b, const char *text)
{
    size_t begin = b->n;

    rk_wire_str(b, 1, rk_str(text));
    return span_since(b, begin);
}

static struct compile_span put_prefix(struct rk_buf *b, const uint8_t *ip, size_t n)
{
    uint8_t prefix[17];
    size_t begin = b->n;

    memcpy(prefix, ip, n);
    prefix[n] = (uint8_t)(n * 8);
    rk_wire_bytes_always(b, 9, rk_strn(prefix, n + 1));
    return span_since(b, begin);
}

static void decide(struct compile_peer *p)
{
    const struct rk_peer_row *r = p->row;

    if (rk_version_at_least(r->version, 0, 48, 0))
        p->cls |= COMPILE_CLASS_RANGES;
    if (r->ssh_enabled && r->flag_server_ssh_allowed && rk_version_at_least(r->version, 0, 60, 0))
        p->cls |= COMPILE_CLASS_NATIVE_SSH;
    p->sup6 = (r->capabilities & RK_CAP_IPV6) && !r->flag_disable_ipv6;
    p->v6 = p->sup6 && r->has_ip6;
    p->source_prefixes = r->capabilities & RK_CAP_SOURCE_PREFIXES;
    p->duplicate_peers = !rk_version_uncut_at_least(r->version, 0, 29, 3);
    p->new_forwarder = rk_version_semver_at_least(r->version, 0, 59, 0);
}

struct compile_peer *compile_peer_new(struct rk_peer_row *row, const char *dns_domain)
{
    struct compile_peer *p = rk_new(struct compile_peer);
    const struct addresses ip = addresses_of(row);
    struct rk_buf b;

    atomic_init(&p->refs, 1);
    p->row = rk_peer_row_ref(row);
    decide(p);
    rk_buf_init(&b, PEER_BYTES_MAX);
    p->remote4 = put_remote(&b, p, &ip, dns_domain, false);
    p->remote6 = row->has_ip6 ? put_remote(&b, p, &ip, dns_domain, true) : p->remote4;
    p->dns4 = put_records(&b, row, &ip, dns_domain, false);
    p->dns6 = p->v6 ? put_records(&b, row, &ip, dns_domain, true) : p->dns4;
    p->ip4 = put_ip(&b, ip.ip4);
    p->prefix4 = put_prefix(&b, row->ip4, sizeof(row->ip4));
    if (row->has_ip6) {
        p->ip6 = put_ip(&b, ip.ip6);
        p->prefix6 = put_prefix(&b, row->ip6, sizeof(row->ip6));
    }
    p->bytes_n = (uint32_t)b.n;
    p->bytes = rk_realloc(b.p, b.n + COMPILE_SLACK);
    memset(p->bytes + b.n, 0, COMPILE_SLACK);
    return p;
}

struct compile_peer *compile_peer_ref(struct compile_peer *p)
{
    (void)atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void compile_peer_unref(struct compile_peer *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    rk_peer_row_unref(p->row);
    free(p->bytes);
    free(p);
}

static bool span_same(const struct compile_peer *a,
                      struct compile_span x,
                      const struct compile_peer *b,
                      struct compile_span y)
{
    return x.n == y.n && memcmp(a->bytes + x.at, b->bytes + y.at, x.n) == 0;
}

bool compile_peer_same_outside(const struct compile_peer *a,
                               const struct compile_peer *b,
                               bool dual)
{
    if (a == b)
        return true;
    if (!span_same(a, a->remote4, b, b->remote4) || !span_same(a, a->dns4, b, b->dns4) ||
        !span_same(a, a->prefix4, b, b->prefix4))
        return false;
    return !dual || (span_same(a, a->remote6, b, b->remote6) && span_same(a, a->dns6, b, b->dns6) &&
                     span_same(a, a->ip6, b, b->ip6));
}

bool compile_peer_same_names(const struct compile_peer *a, const struct compile_peer *b)
{
    return a == b || (span_same(a, a->dns4, b, b->dns4) && span_same(a, a->dns6, b, b->dns6));
}
