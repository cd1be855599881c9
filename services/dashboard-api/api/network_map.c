/* /api/peers/{id}/network-map: the map that this peer holds, as it is on the wire. */

#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/json/proto.h"

int peer_network_map(struct call *c, struct rk_err *err)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    const Management__SyncResponse *m;
    size_t index;
    int r;

    r = picture_get(c->pictures, c->pg, c->actor.account_id, &s, err);
    if (r < 0)
        return r;
    index = rk_snapshot_find_id(s, rk_str(c->var[0]));
    if (index == RK_NO_PEER)
        return rk_fail(err, RK_NOT_FOUND, "peer not found: %s", c->var[0]);
    r = picture_map(s, index, c->arena, &m, err);
    if (r < 0)
        return r;
    proto_write(&c->json, NULL, &m->base, NULL);
    return 0;
}
