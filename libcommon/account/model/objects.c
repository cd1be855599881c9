#include "libcommon/account/model/objects.h"

/* Making and freeing of rows by kind. */

#include <stdlib.h>

#include "libcommon/account/model/model.h"
#include "libcommon/base/alloc.h"

static void strings_done(struct rk_strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->v[i]);
    free(s->v);
}

static void posture_done(struct rk_posture_row *p)
{
    free(p->nb_min);
    for (size_t i = 0; i < RK_OS_COUNT; i++)
        free(p->os_min[i]);
    for (size_t i = 0; i < p->locations_n; i++) {
        free(p->locations[i].country);
        free(p->locations[i].city);
    }
    free(p->locations);
    free(p->ranges);
    for (size_t i = 0; i < p->processes_n; i++) {
        free(p->processes[i].linux_path);
        free(p->processes[i].mac_path);
        free(p->processes[i].windows_path);
    }
    free(p->processes);
}

static void route_done(struct rk_route_row *r)
{
    free(r->description);
    free(r->net_id);
    strings_done(&r->domains);
    free(r->peer_groups.v);
    free(r->groups.v);
    free(r->access_groups.v);
}

static void resource_done(struct rk_resource_row *r)
{
    free(r->name);
    free(r->description);
    free(r->domain);
}

static void nsgroup_done(struct rk_nsgroup_row *g)
{
    for (size_t i = 0; i < g->servers_n; i++)
        free(g->servers[i].ip);
    free(g->servers);
    free(g->groups.v);
    strings_done(&g->domains);
}

static void zone_done(struct rk_zone_row *z)
{
    for (size_t i = 0; i < z->records_n; i++) {
        free(z->records[i].name);
        free(z->records[i].content);
    }
    free(z->records);
    free(z->domain);
    free(z->groups.v);
}

static size_t size_of(enum rk_object_kind kind)
{
    switch (kind) {
    case RK_OBJ_USER:
        return sizeof(struct rk_user_row);
    case RK_OBJ_POSTURE_CHECK:
        return sizeof(struct rk_posture_row);
    case RK_OBJ_ROUTE:
        return sizeof(struct rk_route_row);
    case RK_OBJ_NETWORK:
        return sizeof(struct rk_network_row);
    case RK_OBJ_RESOURCE:
        return sizeof(struct rk_resource_row);
    case RK_OBJ_ROUTER:
        return sizeof(struct rk_router_row);
    case RK_OBJ_NAMESERVER_GROUP:
        return sizeof(struct rk_nsgroup_row);
    case RK_OBJ_ZONE:
        return sizeof(struct rk_zone_row);
    case RK_OBJ_ACCOUNT:
    case RK_OBJ_PEER:
    case RK_OBJ_GROUP:
    case RK_OBJ_GROUP_PEER:
    case RK_OBJ_POLICY:
        break;
    }
    abort(); /* those have rows of their own, in model.h */
}

struct rk_row *rk_row_new(enum rk_object_kind kind, const char *id)
{
    struct rk_row *r = rk_zalloc(size_of(kind));

    atomic_init(&r->refs, 1);
    r->kind = kind;
    r->id = rk_strdup(id);
    return r;
}

struct rk_row *rk_row_ref(struct rk_row *r)
{
    (void)atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void rk_row_unref(struct rk_row *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    switch (r->kind) {
    case RK_OBJ_USER:
        free(((struct rk_user_row *)r)->auto_groups.v);
        break;
    case RK_OBJ_POSTURE_CHECK:
        posture_done((struct rk_posture_row *)r);
        break;
    case RK_OBJ_ROUTE:
        route_done((struct rk_route_row *)r);
        break;
    case RK_OBJ_NETWORK:
        free(((struct rk_network_row *)r)->name);
        break;
    case RK_OBJ_RESOURCE:
        resource_done((struct rk_resource_row *)r);
        break;
    case RK_OBJ_ROUTER:
        free(((struct rk_router_row *)r)->peer_groups.v);
        break;
    case RK_OBJ_NAMESERVER_GROUP:
        nsgroup_done((struct rk_nsgroup_row *)r);
        break;
    case RK_OBJ_ZONE:
        zone_done((struct rk_zone_row *)r);
        break;
    case RK_OBJ_ACCOUNT:
    case RK_OBJ_PEER:
    case RK_OBJ_GROUP:
    case RK_OBJ_GROUP_PEER:
    case RK_OBJ_POLICY:
        break;
    }
    free(r->id);
    free(r);
}
