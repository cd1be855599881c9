#pragma once

/*
 * Random objects of an account, for tests that live through many changes: a maker for each kind.
 * They name peers p00.., groups g0.. (the last never exists) and one another by number.
 */

#include <stdio.h>

#include "tests/support/account_rows.h"

enum {
    RANDOM_PEERS = 14,
    RANDOM_GROUPS = 5,
    RANDOM_OBJECTS = 5, /* of each kind */
    RANDOM_NETWORKS = 3
};

static uint64_t random_seed = 20261121;

static RK_UNUSED unsigned below(unsigned n)
{
    random_seed ^= random_seed << 13;
    random_seed ^= random_seed >> 7;
    random_seed ^= random_seed << 17;
    return (unsigned)((random_seed >> 11) % n);
}

static RK_UNUSED void random_peer_id(unsigned i, char out[RK_XID_LEN + 1])
{
    /* Not in the order of the numbers, so that order by id and by index differ. */
    (void)snprintf(out, RK_XID_LEN + 1, "p%02u", i * 5 % RANDOM_PEERS);
}

static RK_UNUSED void
random_object_id(enum rk_object_kind kind, unsigned i, char out[RK_XID_LEN + 1])
{
    (void)snprintf(out, RK_XID_LEN + 1, "o%d-%u", kind, i);
}

static RK_UNUSED void random_groups(struct rk_ids *out, unsigned max)
{
    char id[RK_XID_LEN + 1];

    for (unsigned n = below(max + 1); n > 0; n--) {
        (void)snprintf(id, sizeof(id), "g%u", below(RANDOM_GROUPS + 1));
        rows_ids_add(&out->v, &out->n, id);
    }
}

/* A peer, or groups of them. */
static RK_UNUSED void random_via(char peer[RK_XID_LEN + 1], struct rk_ids *groups)
{
    if (below(2))
        random_peer_id(below(RANDOM_PEERS), peer);
    else
        random_groups(groups, 2);
}

static RK_UNUSED void random_network(char out[RK_XID_LEN + 1])
{
    (void)snprintf(out, RK_XID_LEN + 1, "n%u", below(RANDOM_NETWORKS));
}

/* --- makers --------------------------------------------------------------------------------- */

static RK_UNUSED struct rk_row *random_route(const char *id)
{
    static const char *const networks[] = { "10.0.0.0/8", "0.0.0.0/0", "fd77::/64",
                                            "192.0.2.0/32" };
    struct rk_route_row *r = (struct rk_route_row *)rk_row_new(RK_OBJ_ROUTE, id);
    unsigned which = below(RK_COUNT(networks));

    (void)rk_prefix_parse(rk_str(networks[which]), &r->network);
    r->type = which == 3 ? RK_NET_DOMAIN : which == 2 ? RK_NET_IPV6 : RK_NET_IPV4;
    if (which == 3)
        rows_string(&r->domains, below(2) ? "*.corp.test" : "db.test");
    r->description = rk_strdup("");
    r->net_id = rk_strdup(below(3) ? "lan" : "other");
    random_via(r->peer, &r->peer_groups);
    random_groups(&r->groups, 3);
    if (below(2))
        random_groups(&r->access_groups, 2);
    r->metric = 100 + below(2);
    r->masquerade = below(2);
    r->keep_route = below(2);
    r->skip_auto_apply = below(2);
    r->enabled = below(6) > 0;
    return &r->row;
}

static RK_UNUSED struct rk_row *random_resource(const char *id)
{
    static const char *const networks[] = { "10.0.0.0/8", "0.0.0.0/0", "fd77::/64", "10.1.2.3/32" };
    struct rk_resource_row *r = (struct rk_resource_row *)rk_row_new(RK_OBJ_RESOURCE, id);

    random_network(r->network);
    r->name = rk_strdup(below(2) ? "lan" : id);
    r->description = rk_strdup("");
    r->type = below(3) ? RK_RESOURCE_SUBNET : RK_RESOURCE_DOMAIN;
    r->domain = rk_strdup(r->type == RK_RESOURCE_DOMAIN ? "*.corp.test" : "");
    if (r->type == RK_RESOURCE_SUBNET)
        (void)rk_prefix_parse(rk_str(networks[below(RK_COUNT(networks))]), &r->prefix);
    r->enabled = below(6) > 0;
    return &r->row;
}

static RK_UNUSED struct rk_row *random_router(const char *id)
{
    struct rk_router_row *r = (struct rk_router_row *)rk_row_new(RK_OBJ_ROUTER, id);

    random_network(r->network);
    random_via(r->peer, &r->peer_groups);
    r->metric = 100 + below(2);
    r->masquerade = below(2);
    r->enabled = below(6) > 0;
    return &r->row;
}

static RK_UNUSED struct rk_row *random_user(const char *id)
{
    struct rk_user_row *u = (struct rk_user_row *)rk_row_new(RK_OBJ_USER, id);

    u->active = below(4) > 0;
    random_groups(&u->auto_groups, 3);
    return &u->row;
}

/* Who a netbird-ssh rule lets in; nobody named is everyone. */
static RK_UNUSED void random_authorized(struct rk_rule *r)
{
    char id[RK_XID_LEN + 1];

    if (below(4) == 0) {
        random_object_id(RK_OBJ_USER, below(RANDOM_OBJECTS), id);
        rows_set(&r->authorized_user, id);
    }
    r->authorized = rk_new_array(struct rk_authorized, 3);
    for (unsigned n = below(3); n > 0; n--) {
        struct rk_authorized *a = &r->authorized[r->authorized_n++];

        (void)snprintf(a->group, sizeof(a->group), "g%u", below(RANDOM_GROUPS + 1));
        for (unsigned k = below(3); k > 0; k--)
            rows_string(&a->local_users, below(2) ? "deploy" : "root");
    }
}

static RK_UNUSED struct rk_row *random_posture(const char *id)
{
    static const char *const versions[] = { "0.50.0", "0.77.1", "0.77.2" };
    struct rk_posture_row *p = (struct rk_posture_row *)rk_row_new(RK_OBJ_POSTURE_CHECK, id);

    p->nb_min = rk_strdup(versions[below(RK_COUNT(versions))]);
    p->has_nb_version = below(2);
    p->has_os_version = below(3) == 0;
    if (below(2))
        p->os_min[RK_OS_LINUX] = rk_strdup(below(2) ? "6.0" : "6.5");
    p->has_geo = below(3) == 0;
    p->geo_allow = below(2);
    p->locations = rk_new_array(struct rk_geo_location, 1);
    p->locations[p->locations_n++] = (struct rk_geo_location){ rk_strdup("DE"), rk_strdup("") };
    p->has_processes = below(3) == 0;
    p->processes = rk_new_array(struct rk_posture_process, 1);
    p->processes[p->processes_n++] =
        (struct rk_posture_process){ rk_strdup(below(2) ? "/bin/a" : "/bin/b"),
                                     rk_strdup(below(2) ? "/App/a" : ""), rk_strdup("") };
    return &p->row;
}

static RK_UNUSED struct rk_row *random_nsgroup(const char *id)
{
    struct rk_nsgroup_row *g = (struct rk_nsgroup_row *)rk_row_new(RK_OBJ_NAMESERVER_GROUP, id);

    g->servers = rk_new_array(struct rk_nameserver, 1);
    g->servers[0].ip = rk_strdup(below(3) ? "9.9.9.9" : "100.64.0.3"); /* a peer, perhaps */
    g->servers[0].port = 53;
    g->servers_n = 1;
    random_groups(&g->groups, 3);
    g->primary = below(2);
    if (!g->primary)
        rows_string(&g->domains, "corp.test");
    g->search_domains = !g->primary && below(2);
    g->enabled = below(6) > 0;
    return &g->row;
}

static RK_UNUSED struct rk_row *random_zone(const char *id)
{
    struct rk_zone_row *z = (struct rk_zone_row *)rk_row_new(RK_OBJ_ZONE, id);

    z->domain = rk_strdup("int.test");
    z->records = rk_new_array(struct rk_zone_record, 1);
    if (below(4) > 0)
        z->records[z->records_n++] =
            (struct rk_zone_record){ rk_strdup("db.int.test"),
                                     rk_strdup(below(2) ? "10.0.0.5" : "10.0.0.6"), 1, 60 };
    z->search_domain = below(2);
    z->enabled = below(6) > 0;
    random_groups(&z->groups, 3);
    return &z->row;
}

typedef struct rk_row *random_maker(const char *id);
static random_maker *const random_makers[RK_OBJ_COUNT] = {
    [RK_OBJ_USER] = random_user,
    [RK_OBJ_POSTURE_CHECK] = random_posture,
    [RK_OBJ_NAMESERVER_GROUP] = random_nsgroup,
    [RK_OBJ_ZONE] = random_zone,
    [RK_OBJ_ROUTE] = random_route,
    [RK_OBJ_RESOURCE] = random_resource,
    [RK_OBJ_ROUTER] = random_router,
};
