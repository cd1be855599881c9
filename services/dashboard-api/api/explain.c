/* /api/explain: may this peer reach that one, and why. */

#include "libcommon/account/explain/explain.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"
#include "services/dashboard-api/api/api.h"

static const struct rk_pg_stmt names_stmt = {
    "explain_names", "SELECT id, name FROM policy WHERE account_id = $1 UNION ALL "
                     "SELECT id, name FROM account_group WHERE account_id = $1 UNION ALL "
                     "SELECT id, name FROM posture_check WHERE account_id = $1 UNION ALL "
                     "SELECT id, name FROM peer WHERE account_id = $1 AND id = ANY($2::text[])"
};

struct question {
    const struct rk_snapshot *s;
    struct rk_explain_query q;
    const struct rk_resource_row *resource;
    const char *to; /* as asked */
    struct rk_map *names;
};

/* --- reading the question ------------------------------------------------------------------- */

static bool address_is(const struct rk_peer_row *p, const struct rk_prefix *a)
{
    if (a->family == AF_INET)
        return a->bits == 32 && memcmp(p->ip4, a->addr, 4) == 0;
    return a->family == AF_INET6 && a->bits == 128 && p->has_ip6 &&
           memcmp(p->ip6, a->addr, 16) == 0;
}

static bool label_is(const struct rk_peer_row *p, const char *domain, struct rk_str name)
{
    struct rk_str label = rk_str(p->dns_label), rest;

    if (rk_str_ieq(label, name))
        return true;
    if (name.n <= label.n || name.p[label.n] != '.' || !rk_str_ieq(label, rk_strn(name.p, label.n)))
        return false;
    rest = rk_strn(name.p + label.n + 1, name.n - label.n - 1);
    return rk_str_ieq(rest, rk_str(domain));
}

/* A peer by id, overlay address, DNS label or full DNS name. */
static size_t find_peer(const struct rk_snapshot *s, const char *text)
{
    size_t index = rk_snapshot_find_id(s, rk_str(text));
    const char *domain = rk_snapshot_account(s)->dns_domain;
    struct rk_prefix address;

    if (index != RK_NO_PEER)
        return index;
    (void)rk_prefix_parse(rk_str(text), &address);
    for (index = 0; index < rk_snapshot_peer_bound(s); index++) {
        const struct rk_peer_row *p = rk_snapshot_peer(s, index);

        if (p && (address_is(p, &address) || label_is(p, domain, rk_str(text))))
            return index;
    }
    return RK_NO_PEER;
}

/* A resource by id or name. */
static const struct rk_resource_row *find_resource(const struct rk_snapshot *s, const char *text)
{
    size_t n;
    struct rk_row *const *rows = rk_snapshot_rows(s, RK_OBJ_RESOURCE, &n);

    for (size_t i = 0; i < n; i++) {
        const struct rk_resource_row *r = (const struct rk_resource_row *)rows[i];

        if (strcmp(r->row.id, text) == 0 || strcmp(r->name, text) == 0)
            return r;
    }
    return NULL;
}

static int read_target(struct question *x, struct rk_err *err)
{
    x->q.peer = find_peer(x->s, x->to);
    if (x->q.peer != RK_NO_PEER) {
        x->q.target = RK_EXPLAIN_PEER;
        x->q.v6 = strchr(x->to, ':') != NULL;
        return 0;
    }
    x->resource = find_resource(x->s, x->to);
    if (x->resource) {
        x->q.target = RK_EXPLAIN_RESOURCE;
        x->q.resource = x->resource->row.id;
    } else if (rk_prefix_parse(rk_str(x->to), &x->q.address)) {
        x->q.target = RK_EXPLAIN_ADDRESS;
    } else if (strchr(x->to, '.')) {
        x->q.target = RK_EXPLAIN_DOMAIN;
        x->q.domain = x->to;
    } else {
        return rk_fail(err, RK_NOT_FOUND, "no peer or network resource is called %s", x->to);
    }
    return 0;
}

static int read_protocol(const char *text, enum rk_rule_protocol *out, struct rk_err *err)
{
    static const struct {
        const char *name;
        enum rk_rule_protocol protocol;
    } rows[] = {
        { "all", RK_PROTO_ALL },
        { "tcp", RK_PROTO_TCP },
        { "udp", RK_PROTO_UDP },
        { "icmp", RK_PROTO_ICMP },
    };

    *out = RK_PROTO_ALL;
    if (!text || !text[0])
        return 0;
    for (size_t i = 0; i < RK_COUNT(rows); i++) {
        if (rk_str_ieq(rk_str(text), rk_str(rows[i].name))) {
            *out = rows[i].protocol;
            return 0;
        }
    }
    return rk_fail(err, RK_INVALID, "query parameter 'proto' must be all, tcp, udp or icmp");
}

static int read_port(const char *text, struct rk_explain_query *q, struct rk_err *err)
{
    uint64_t port;

    if (!text || !text[0])
        return 0;
    if (!rk_str_u64(rk_str(text), &port) || port < 1 || port > 65535)
        return rk_fail(err, RK_INVALID, "query parameter 'port' must be in 1..65535");
    if (q->protocol == RK_PROTO_ICMP)
        return rk_fail(err, RK_INVALID, "icmp has no ports: leave out 'port'");
    q->port = (uint16_t)port;
    return 0;
}

static int read_question(struct call *c, struct question *x, struct rk_err *err)
{
    const char *from = call_query(c, "from");
    int r;

    x->to = call_query(c, "to");
    if (!from || !from[0])
        return rk_fail(err, RK_INVALID,
                       "query parameter 'from' is required: a peer's id, address or name");
    if (!x->to || !x->to[0])
        return rk_fail(err, RK_INVALID,
                       "query parameter 'to' is required: a peer, a network resource, an address "
                       "or a domain");
    x->q.from = find_peer(x->s, from);
    if (x->q.from == RK_NO_PEER)
        return rk_fail(err, RK_NOT_FOUND, "peer not found: %s", from);
    r = read_target(x, err);
    if (r == 0)
        r = read_protocol(call_query(c, "proto"), &x->q.protocol, err);
    if (r == 0)
        r = read_port(call_query(c, "port"), &x->q, err);
    return r;
}

/* --- writing the answer --------------------------------------------------------------------- */

static void
write_named(const struct question *x, struct rk_json *j, const char *key, const char *id)
{
    const char *name = rk_map_get(x->names, rk_str(id));

    rk_json_object(j, key);
    rk_json_cstr(j, "id", id);
    rk_json_cstr(j, "name", name ? name : "");
    rk_json_object_end(j);
}

static void write_peer(const struct question *x, struct rk_json *j, const char *key, size_t index)
{
    const struct rk_peer_row *p = rk_snapshot_peer(x->s, index);
    const char *name = rk_map_get(x->names, rk_str(p->id));
    char text[INET6_ADDRSTRLEN] = "";

    rk_json_object(j, key);
    rk_json_cstr(j, "type", "peer");
    rk_json_cstr(j, "id", p->id);
    rk_json_cstr(j, "name", name ? name : "");
    (void)inet_ntop(AF_INET, p->ip4, text, sizeof(text));
    rk_json_cstr(j, "ip", text);
    rk_json_object_end(j);
}

static void write_target(const struct question *x, struct rk_json *j)
{
    char text[RK_PREFIX_LEN];

    switch (x->q.target) {
    case RK_EXPLAIN_PEER:
        write_peer(x, j, "to", x->q.peer);
        return;
    case RK_EXPLAIN_RESOURCE:
        rk_json_object(j, "to");
        rk_json_cstr(j, "type", "resource");
        rk_json_cstr(j, "id", x->resource->row.id);
        rk_json_cstr(j, "name", x->resource->name);
        break;
    case RK_EXPLAIN_ADDRESS:
        rk_prefix_format(&x->q.address, text);
        rk_json_object(j, "to");
        rk_json_cstr(j, "type", "address");
        rk_json_cstr(j, "address", text);
        break;
    case RK_EXPLAIN_DOMAIN:
        rk_json_object(j, "to");
        rk_json_cstr(j, "type", "domain");
        rk_json_cstr(j, "domain", x->q.domain);
        break;
    }
    rk_json_object_end(j);
}

static const char *protocol_name(enum rk_rule_protocol p)
{
    switch (p) {
    case RK_PROTO_TCP:
        return "tcp";
    case RK_PROTO_UDP:
        return "udp";
    case RK_PROTO_ICMP:
        return "icmp";
    case RK_PROTO_NETBIRD_SSH:
        return "netbird-ssh";
    case RK_PROTO_ALL:
        break;
    }
    return "all";
}

static void write_rule(const struct question *x, struct rk_json *j, const struct rk_explain_rule *r)
{
    char ports[32] = "";

    rk_json_object(j, NULL);
    if (r->policy[0])
        write_named(x, j, "policy", r->policy);
    else
        rk_json_null(j, "policy");
    rk_json_cstr(j, "action", r->accept ? "accept" : "drop");
    rk_json_cstr(j, "protocol", protocol_name(r->protocol));
    if (r->last_port > r->first_port)
        snprintf(ports, sizeof(ports), "%u-%u", r->first_port, r->last_port);
    else if (r->first_port > 0)
        snprintf(ports, sizeof(ports), "%u", r->first_port);
    rk_json_cstr(j, "ports", ports);
    rk_json_bool(j, "covers_all", r->whole);
    rk_json_object_end(j);
}

static void write_way(const struct question *x, struct rk_json *j, const struct rk_explain_way *w)
{
    rk_json_object(j, NULL);
    rk_json_bool(j, "allowed", w->why == RK_WHY_ALLOWED || w->why == RK_WHY_SELF);
    rk_json_cstr(j, "reason", rk_explain_why_text(w->why));
    if (w->router == RK_NO_PEER) {
        rk_json_null(j, "route");
    } else {
        rk_json_object(j, "route");
        rk_json_cstr(j, "id", w->route);
        rk_json_cstr(j, "network_id", w->net_id);
        rk_json_cstr(j, "network", w->network);
        rk_json_int(j, "metric", w->metric);
        write_peer(x, j, "routing_peer", w->router);
        rk_json_object_end(j);
    }
    rk_json_array(j, "rules");
    for (size_t i = 0; i < w->rules_n; i++)
        write_rule(x, j, &w->rules[i]);
    rk_json_array_end(j);
    rk_json_object_end(j);
}

static void write_groups(
    const struct question *x, struct rk_json *j, const char *key, const char **ids, size_t n)
{
    rk_json_array(j, key);
    for (size_t i = 0; i < n; i++)
        write_named(x, j, NULL, ids[i]);
    rk_json_array_end(j);
}

static void
write_policy(const struct question *x, struct rk_json *j, const struct rk_explain_policy *p)
{
    const struct rk_rule *r = &p->policy->rules[p->rule];

    rk_json_object(j, NULL);
    write_named(x, j, "policy", p->policy->id);
    rk_json_cstr(j, "rule_id", r->id);
    rk_json_cstr(j, "action", r->action == RK_RULE_DROP ? "drop" : "accept");
    rk_json_cstr(j, "protocol", protocol_name(r->protocol));
    rk_json_bool(j, "bidirectional", r->bidirectional);
    rk_json_bool(j, "applies", p->faults == 0);
    rk_json_array(j, "why_not");
    for (unsigned i = 0; i < RK_FAULT_COUNT; i++)
        if (p->faults & 1u << i)
            rk_json_cstr(j, NULL, rk_explain_fault_text((enum rk_explain_fault)(1u << i)));
    rk_json_array_end(j);
    write_groups(x, j, "source_groups", p->sources, p->sources_n);
    write_groups(x, j, "destination_groups", p->destinations, p->destinations_n);
    rk_json_array(j, "posture_checks");
    for (size_t i = 0; i < p->checks_n; i++) {
        const char *name = rk_map_get(x->names, rk_str(p->checks[i].id));

        rk_json_object(j, NULL);
        rk_json_cstr(j, "id", p->checks[i].id);
        rk_json_cstr(j, "name", name ? name : "");
        rk_json_bool(j, "passed", p->checks[i].passed);
        rk_json_object_end(j);
    }
    rk_json_array_end(j);
    rk_json_object_end(j);
}

static void
write_answer(const struct question *x, const struct rk_explanation *e, struct rk_json *j)
{
    rk_json_object(j, NULL);
    rk_json_bool(j, "allowed", e->allowed);
    rk_json_cstr(j, "reason", rk_explain_why_text(e->why));
    write_peer(x, j, "from", x->q.from);
    write_target(x, j);
    rk_json_cstr(j, "protocol", protocol_name(x->q.protocol));
    if (x->q.port > 0)
        rk_json_uint(j, "port", x->q.port);
    else
        rk_json_null(j, "port");
    rk_json_uint(j, "serial", rk_snapshot_serial(x->s));
    rk_json_array(j, "ways");
    for (size_t i = 0; i < e->ways_n; i++)
        write_way(x, j, &e->ways[i]);
    rk_json_array_end(j);
    rk_json_array(j, "policies");
    for (size_t i = 0; i < e->policies_n; i++)
        write_policy(x, j, &e->policies[i]);
    rk_json_array_end(j);
    rk_json_object_end(j);
}

/* Names of everything that the answer may speak of; `res` owns them. */
static int load_names(struct call *c,
                      struct question *x,
                      const struct rk_explanation *e,
                      struct rk_pg_result **res,
                      struct rk_err *err)
{
    struct rk_str *peers = rk_arena_alloc(c->arena, (e->ways_n + 2) * sizeof(*peers));
    size_t n = 0;
    int r;

    peers[n++] = rk_str(rk_snapshot_peer(x->s, x->q.from)->id);
    if (x->q.target == RK_EXPLAIN_PEER)
        peers[n++] = rk_str(rk_snapshot_peer(x->s, x->q.peer)->id);
    for (size_t i = 0; i < e->ways_n; i++)
        if (e->ways[i].router != RK_NO_PEER)
            peers[n++] = rk_str(rk_snapshot_peer(x->s, e->ways[i].router)->id);
    r = rk_pg_run(c->pg, &names_stmt, res, err, RK_P_C(c->actor.account_id), RK_P_ARRAY(peers, n));
    if (r < 0)
        return r;
    for (int i = 0; i < rk_pg_rows(*res); i++)
        (void)rk_map_put(x->names, rk_pg_str(*res, i, 0),
                         rk_arena_strn(c->arena, rk_pg_str(*res, i, 1)));
    return 0;
}

int explain_get(struct call *c, struct rk_err *err)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    rk_auto(rk_map_free) struct rk_map *names = rk_map_new();
    rk_auto(rk_pg_result_free) struct rk_pg_result *rows = NULL;
    struct question x = { .names = names };
    struct rk_explanation e;
    int r = picture_get(c->pictures, c->pg, c->actor.account_id, &s, err);

    if (r < 0)
        return r;
    x.s = s;
    r = read_question(c, &x, err);
    if (r < 0)
        return r;
    rk_explain(s, &x.q, rk_wall_us(), c->arena, &e);
    r = load_names(c, &x, &e, &rows, err);
    if (r < 0)
        return r;
    write_answer(&x, &e, &c->json);
    return 0;
}
