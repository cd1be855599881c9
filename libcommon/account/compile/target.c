#include "libcommon/account/compile/target.h"

/* One block of bytes a target; the spans point into it. */

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "libcommon/account/compile/wire.h"
#include "libcommon/base/alloc.h"

enum {
    TARGET_BYTES_MAX = 1024 * 1024
}; /* names and domains are bounded where they are stored */

/* What the two kinds of rows have in common. */
struct leads_to {
    const char *id, *net_id;
    struct rk_prefix network;
    char *const *domains;
    size_t domains_n;
    bool keep, skip_auto;
};

static struct compile_span span_since(const struct rk_buf *b, size_t begin)
{
    return (struct compile_span){ (uint32_t)begin, (uint32_t)(b->n - begin) };
}

static struct compile_span put_net(struct rk_buf *b, const char *network, enum rk_network_type type)
{
    size_t begin = b->n;

    rk_wire_str(b, 2, rk_str(network));
    rk_wire_uint(b, 3, type);
    return span_since(b, begin);
}

static struct compile_span put_tail(struct rk_buf *b, const struct leads_to *l, const char *suffix)
{
    size_t begin = b->n, at = rk_wire_begin(b, 7);

    (void)rk_buf_put_c(b, l->net_id);
    (void)rk_buf_put_c(b, suffix);
    rk_wire_end(b, at);
    for (size_t i = 0; i < l->domains_n; i++)
        rk_wire_str(b, 8, rk_str(l->domains[i]));
    rk_wire_bool(b, 9, l->keep);
    rk_wire_bool(b, 10, l->skip_auto);
    return span_since(b, begin);
}

static struct compile_span put_destination(struct rk_buf *b, const char *network)
{
    size_t begin = b->n;

    rk_wire_str(b, 3, rk_str(network));
    return span_since(b, begin);
}

static struct compile_span put_domains(struct rk_buf *b, const struct leads_to *l)
{
    size_t begin = b->n;

    rk_wire_bool(b, 6, l->domains_n > 0);
    for (size_t i = 0; i < l->domains_n; i++)
        rk_wire_str(b, 7, rk_str(l->domains[i]));
    return span_since(b, begin);
}

static struct compile_span put_ha(struct rk_buf *b, const struct leads_to *l, const char *network)
{
    size_t begin = b->n;

    (void)rk_buf_printf(b, "%s|", l->net_id);
    for (size_t i = 0; i < l->domains_n; i++)
        (void)rk_buf_printf(b, "%s%s", i > 0 ? ", " : "", l->domains[i]);
    if (l->domains_n == 0)
        (void)rk_buf_put_c(b, network);
    return span_since(b, begin);
}

static struct compile_target *encode(const struct leads_to *l)
{
    struct compile_target *t = rk_new(struct compile_target);
    char network[RK_PREFIX_LEN];
    struct rk_buf b;

    atomic_init(&t->refs, 1);
    (void)rk_str_copy(rk_str(l->id), t->id, sizeof(t->id));
    rk_prefix_format(&l->network, network);
    t->dynamic = l->domains_n > 0;
    t->v6 = !t->dynamic && l->network.family == AF_INET6;
    t->twin = !t->dynamic && rk_str_eq(rk_str(network), RK_STR("0.0.0.0/0"));
    rk_buf_init(&b, TARGET_BYTES_MAX);
    t->net[COMPILE_PLAIN] = put_net(&b, network,
                                    t->dynamic ? RK_NET_DOMAIN
                                    : t->v6    ? RK_NET_IPV6
                                               : RK_NET_IPV4);
    t->tail[COMPILE_PLAIN] = put_tail(&b, l, "");
    t->destination[COMPILE_PLAIN] = put_destination(&b, network);
    if (t->twin) {
        t->net[COMPILE_TWIN] = put_net(&b, "::/0", RK_NET_IPV6);
        t->tail[COMPILE_TWIN] = put_tail(&b, l, "-v6");
        t->destination[COMPILE_TWIN] = put_destination(&b, "::/0");
    }
    t->domains = put_domains(&b, l);
    t->ha = put_ha(&b, l, network);
    t->bytes_n = b.n;
    t->bytes = rk_realloc(b.p, b.n);
    return t;
}

struct compile_target *compile_target_of_route(const struct rk_route_row *r)
{
    bool domains = r->type == RK_NET_DOMAIN;

    return encode(&(struct leads_to){ .id = r->row.id,
                                      .net_id = r->net_id,
                                      .network = r->network,
                                      .domains = r->domains.v,
                                      .domains_n = domains ? r->domains.n : 0,
                                      .keep = r->keep_route,
                                      .skip_auto = r->skip_auto_apply });
}

struct compile_target *compile_target_of_resource(const struct rk_resource_row *r)
{
    bool domain = r->type == RK_RESOURCE_DOMAIN;
    struct rk_prefix network = r->prefix;

    if (domain) /* any agent takes it for a placeholder */
        (void)rk_prefix_parse(RK_STR("192.0.2.0/32"), &network);
    return encode(&(struct leads_to){ .id = r->row.id,
                                      .net_id = r->name,
                                      .network = network,
                                      .domains = &r->domain,
                                      .domains_n = domain ? 1 : 0,
                                      .keep = true });
}

struct compile_target *compile_target_ref(struct compile_target *t)
{
    (void)atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void compile_target_unref(struct compile_target *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(t->bytes);
    free(t);
}

bool compile_target_same(const struct compile_target *a, const struct compile_target *b)
{
    /* Every span is in the block, in one order. */
    return a == b || (a->bytes_n == b->bytes_n && a->dynamic == b->dynamic &&
                      memcmp(a->bytes, b->bytes, a->bytes_n) == 0);
}
