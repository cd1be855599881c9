#include "libcommon/account/explain/explain.h"

/* The verdict: from the maps. What the policies say: policy.c. */

#include <arpa/inet.h>
#include <string.h>

#include "libcommon/account/compile/compile.h"
#include "libcommon/account/explain/int.h"
#include "libcommon/account/snapshot/int.h"
#include "libcommon/base/alloc.h"
#include "proto/management.pb-c.h"

#define MAP_BYTES_MAX ((size_t)1 << 30)

typedef Management__NetworkMap netmap;

static void map_free(Management__SyncResponse *m)
{
    if (m)
        management__sync_response__free_unpacked(m, NULL);
}
RK_DEFINE_AUTO(Management__SyncResponse, map_free)

/* What this peer holds now. Never NULL: we read what we wrote. */
static Management__SyncResponse *map_of(const struct rk_snapshot *s, size_t index, int64_t now_us)
{
    rk_auto(rk_buf_done) struct rk_buf b;

    rk_buf_init(&b, MAP_BYTES_MAX);
    rk_compile_map(s, index, now_us, &b);
    return management__sync_response__unpack(NULL, b.n, b.p);
}

const char *rk_explain_why_text(enum rk_explain_why why)
{
    static const char *const texts[] = {
        [RK_WHY_ALLOWED] = "allowed",
        [RK_WHY_NOT_CONNECTED] = "no policy joins the two peers",
        [RK_WHY_EXPIRED] = "the login of the other peer has expired",
        [RK_WHY_NO_RULE] = "no rule lets this traffic in",
        [RK_WHY_DROPPED] = "a rule drops this traffic",
        [RK_WHY_NO_ROUTE] = "this peer has no route there",
        [RK_WHY_SELF] = "this is the peer itself",
    };

    return texts[why];
}

/* --- one rule against the query ------------------------------------------------------------- */

enum cover explain_covers(const struct rk_explain_query *q,
                          enum rk_rule_protocol protocol,
                          unsigned first,
                          unsigned last)
{
    bool ported = first > 0 || last > 0;

    if (protocol == RK_PROTO_NETBIRD_SSH)
        protocol = RK_PROTO_TCP;
    if (protocol != RK_PROTO_ALL && q->protocol != RK_PROTO_ALL && protocol != q->protocol)
        return COVERS_NOTHING;
    if (ported && q->port > 0 && (q->port < first || q->port > last))
        return COVERS_NOTHING;
    if ((protocol != RK_PROTO_ALL && q->protocol == RK_PROTO_ALL) || (ported && q->port == 0))
        return COVERS_SOME;
    return COVERS_ALL;
}

static void ports_of(const Management__PortInfo *info, const char *port, unsigned *a, unsigned *b)
{
    uint64_t n = 0;

    *a = *b = 0;
    if (info && info->port_selection_case == MANAGEMENT__PORT_INFO__PORT_SELECTION_PORT) {
        *a = *b = info->port;
    } else if (info && info->port_selection_case == MANAGEMENT__PORT_INFO__PORT_SELECTION_RANGE) {
        *a = info->range->start;
        *b = info->range->end;
    } else if (port && rk_str_u64(rk_str(port), &n)) {
        *a = *b = (unsigned)n;
    }
}

/* Notes the rule when it bears on the query; `room` is what the way's array holds. */
static void note_rule(const struct rk_explain_query *q,
                      struct rk_explain_way *way,
                      struct rk_arena *arena,
                      ProtobufCBinaryData policy,
                      bool accept,
                      int protocol,
                      unsigned first,
                      unsigned last)
{
    enum cover cover = explain_covers(q, (enum rk_rule_protocol)protocol, first, last);
    char id[RK_XID_LEN + 1];

    if (cover == COVERS_NOTHING)
        return;
    (void)rk_str_copy(rk_strn(policy.data, policy.len), id, sizeof(id));
    way->rules[way->rules_n++] = (struct rk_explain_rule){
        .policy = rk_arena_strdup(arena, id),
        .accept = accept,
        .whole = cover == COVERS_ALL,
        .protocol = (enum rk_rule_protocol)protocol,
        .first_port = (uint16_t)first,
        .last_port = (uint16_t)last,
    };
}

/* Drop beats accept; nothing said is no. */
static enum rk_explain_why decide(const struct rk_explain_way *way)
{
    bool accepted = false;

    for (size_t i = 0; i < way->rules_n; i++) {
        if (!way->rules[i].accept && way->rules[i].whole)
            return RK_WHY_DROPPED;
        accepted = accepted || way->rules[i].accept;
    }
    return accepted ? RK_WHY_ALLOWED : RK_WHY_NO_RULE;
}

/* --- between two peers ---------------------------------------------------------------------- */

static enum rk_explain_why connection(const netmap *map, const struct rk_snapshot *s, size_t other)
{
    const char *key = rk_snapshot_peer(s, other)->key_b64;

    for (size_t i = 0; i < map->n_remotepeers; i++)
        if (strcmp(map->remotepeers[i]->wgpubkey, key) == 0)
            return RK_WHY_ALLOWED;
    for (size_t i = 0; i < map->n_offlinepeers; i++)
        if (strcmp(map->offlinepeers[i]->wgpubkey, key) == 0)
            return RK_WHY_EXPIRED;
    return RK_WHY_NOT_CONNECTED;
}

/* Each must have the other, or no tunnel comes up. */
static enum rk_explain_why
joined(const netmap *a, const netmap *b, const struct rk_snapshot *s, size_t from, size_t to)
{
    enum rk_explain_why there = connection(a, s, to), back = connection(b, s, from);

    return there != RK_WHY_ALLOWED ? there : back;
}

static void address_text(const struct rk_peer_row *p, bool v6, char out[INET6_ADDRSTRLEN])
{
    out[0] = '\0';
    if (!v6)
        (void)inet_ntop(AF_INET, p->ip4, out, INET6_ADDRSTRLEN);
    else if (p->has_ip6)
        (void)inet_ntop(AF_INET6, p->ip6, out, INET6_ADDRSTRLEN);
}

static void explain_peer(const struct rk_snapshot *s,
                         const struct rk_explain_query *q,
                         int64_t now_us,
                         struct rk_arena *arena,
                         struct rk_explanation *out)
{
    rk_auto(map_free) Management__SyncResponse *a = map_of(s, q->from, now_us);
    rk_auto(map_free) Management__SyncResponse *b = map_of(s, q->peer, now_us);
    struct rk_explain_way *way = rk_arena_alloc(arena, sizeof(*way));
    const netmap *there = b->networkmap;
    char ip[INET6_ADDRSTRLEN];
    unsigned first, last;

    way->router = RK_NO_PEER;
    way->route = way->net_id = way->network = "";
    way->why = joined(a->networkmap, there, s, q->from, q->peer);
    out->ways = way;
    out->ways_n = 1;
    way->rules = rk_arena_alloc(arena, (there->n_firewallrules + 1) * sizeof(*way->rules));
    address_text(rk_snapshot_peer(s, q->from), q->v6, ip);
    for (size_t i = 0; i < there->n_firewallrules; i++) {
        const Management__FirewallRule *r = there->firewallrules[i];

        if (r->direction != MANAGEMENT__RULE_DIRECTION__IN || strcmp(r->peerip, ip) != 0)
            continue;
        ports_of(r->portinfo, r->port, &first, &last);
        note_rule(q, way, arena, r->policyid, r->action == MANAGEMENT__RULE_ACTION__ACCEPT,
                  (int)r->protocol, first, last);
    }
    if (way->why == RK_WHY_ALLOWED)
        way->why = decide(way);
}

/* --- through a routing peer ----------------------------------------------------------------- */

/* "*.example.org" holds everything under it, not itself. */
static bool domain_holds(const char *pattern, struct rk_str name)
{
    struct rk_str p = rk_str(pattern);

    if (!rk_str_starts(p, RK_STR("*.")))
        return rk_str_ieq(p, name);
    p = (struct rk_str){ p.p + 1, p.n - 1 };
    return name.n > p.n && rk_str_ieq(p, (struct rk_str){ name.p + (name.n - p.n), p.n });
}

static bool domains_hold(char **domains, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (domain_holds(domains[i], rk_str(name)))
            return true;
    return false;
}

/* Bits of the network that make this route fit, +1; 0 when it does not. */
static unsigned route_fits(const Management__Route *r, const struct rk_explain_query *q)
{
    struct rk_prefix network;

    switch (q->target) {
    case RK_EXPLAIN_RESOURCE: /* its routes are "<resource>:<routing peer>" */
        return rk_str_starts(rk_str(r->id), rk_str(q->resource)) &&
               r->id[strlen(q->resource)] == ':';
    case RK_EXPLAIN_ADDRESS:
        return r->networktype != RK_NET_DOMAIN && rk_prefix_parse(rk_str(r->network), &network) &&
                       rk_prefix_contains(&network, &q->address)
                   ? network.bits + 1
                   : 0;
    case RK_EXPLAIN_DOMAIN:
        return r->networktype == RK_NET_DOMAIN && domains_hold(r->domains, r->n_domains, q->domain);
    case RK_EXPLAIN_PEER:
        break;
    }
    return 0;
}

static bool source_fits(const Management__RouteFirewallRule *r, const struct rk_peer_row *from)
{
    struct rk_prefix source, me4 = { .family = AF_INET, .bits = 32 },
                             me6 = { .family = AF_INET6, .bits = 128 };

    memcpy(me4.addr, from->ip4, 4);
    memcpy(me6.addr, from->ip6, 16);
    for (size_t i = 0; i < r->n_sourceranges; i++) {
        if (!rk_prefix_parse(rk_str(r->sourceranges[i]), &source))
            continue;
        if (rk_prefix_contains(&source, &me4) ||
            (from->has_ip6 && rk_prefix_contains(&source, &me6)))
            return true;
    }
    return false;
}

static void explain_route(const struct rk_snapshot *s,
                          const struct rk_explain_query *q,
                          int64_t now_us,
                          const netmap *mine,
                          const Management__Route *route,
                          struct rk_arena *arena,
                          struct rk_explain_way *way)
{
    rk_auto(map_free) Management__SyncResponse *theirs = NULL;
    uint8_t key[RK_KEY_LEN];
    unsigned first, last;

    way->route = rk_arena_strdup(arena, route->id);
    way->net_id = rk_arena_strdup(arena, route->netid);
    way->network = rk_arena_strdup(arena, route->networktype == RK_NET_DOMAIN && route->n_domains
                                              ? route->domains[0]
                                              : route->network);
    way->metric = route->metric;
    way->router =
        rk_key_parse(rk_str(route->peer), key) ? rk_snapshot_find_key(s, key) : RK_NO_PEER;
    if (way->router == RK_NO_PEER || way->router == q->from) {
        way->why = way->router == q->from ? RK_WHY_SELF : RK_WHY_NO_ROUTE;
        return;
    }
    theirs = map_of(s, way->router, now_us);
    way->why = joined(mine, theirs->networkmap, s, q->from, way->router);
    way->rules = rk_arena_alloc(arena, (theirs->networkmap->n_routesfirewallrules + 1) *
                                           sizeof(*way->rules));
    for (size_t i = 0; i < theirs->networkmap->n_routesfirewallrules; i++) {
        const Management__RouteFirewallRule *r = theirs->networkmap->routesfirewallrules[i];

        if (strcmp(r->routeid, route->id) != 0 || !source_fits(r, rk_snapshot_peer(s, q->from)))
            continue;
        ports_of(r->portinfo, NULL, &first, &last);
        note_rule(q, way, arena, r->policyid, r->action == MANAGEMENT__RULE_ACTION__ACCEPT,
                  (int)r->protocol, first, last);
    }
    if (way->why == RK_WHY_ALLOWED)
        way->why = decide(way);
}

/* The narrowest routes win, as in any routing table. */
static void explain_routes(const struct rk_snapshot *s,
                           const struct rk_explain_query *q,
                           int64_t now_us,
                           struct rk_arena *arena,
                           struct rk_explanation *out)
{
    rk_auto(map_free) Management__SyncResponse *a = map_of(s, q->from, now_us);
    const netmap *mine = a->networkmap;
    unsigned best = 0;

    for (size_t i = 0; i < mine->n_routes; i++) {
        unsigned fit = route_fits(mine->routes[i], q);

        best = fit > best ? fit : best;
    }
    out->ways = rk_arena_alloc(arena, (mine->n_routes + 1) * sizeof(*out->ways));
    for (size_t i = 0; i < mine->n_routes && best > 0; i++)
        if (route_fits(mine->routes[i], q) == best)
            explain_route(s, q, now_us, mine, mine->routes[i], arena, &out->ways[out->ways_n++]);
}

void rk_explain(const struct rk_snapshot *s,
                const struct rk_explain_query *q,
                int64_t now_us,
                struct rk_arena *arena,
                struct rk_explanation *out)
{
    *out = (struct rk_explanation){ .why = RK_WHY_NO_ROUTE };
    if (q->target == RK_EXPLAIN_PEER && q->peer == q->from) {
        out->allowed = true;
        out->why = RK_WHY_SELF;
        return;
    }
    if (q->target == RK_EXPLAIN_PEER)
        explain_peer(s, q, now_us, arena, out);
    else
        explain_routes(s, q, now_us, arena, out);
    for (size_t i = 0; i < out->ways_n; i++) {
        if (i == 0)
            out->why = out->ways[i].why;
        if (out->ways[i].why == RK_WHY_ALLOWED || out->ways[i].why == RK_WHY_SELF) {
            out->allowed = true;
            out->why = out->ways[i].why;
        }
    }
    explain_policies(s, q, arena, out);
}
