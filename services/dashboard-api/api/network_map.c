/* /api/peers/{id}/network-map: the map that this peer holds, as it is on the wire. */

#include "libcommon/account/compile/compile.h"
#include "libcommon/base/clock.h"
#include "proto/management.pb-c.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/json/proto.h"

#define MAP_BYTES_MAX ((size_t)256 << 20)

int peer_network_map(struct call *c, struct rk_err *err)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    rk_auto(rk_buf_done) struct rk_buf map;
    Management__SyncResponse *m;
    size_t index;
    int r;

    rk_buf_init(&map, MAP_BYTES_MAX);
    r = picture_get(c->pictures, c->pg, c->actor.account_id, &s, err);
    if (r < 0)
        return r;
    index = rk_snapshot_find_id(s, rk_str(c->var[0]));
    if (index == RK_NO_PEER)
        return rk_fail(err, RK_NOT_FOUND, "peer not found: %s", c->var[0]);
    rk_compile_map(s, index, rk_wall_us(), &map);
    m = map.overflow ? NULL
                     : management__sync_response__unpack(rk_arena_protobuf(c->arena), map.n, map.p);
    if (!m)
        return rk_fail(err, RK_INTERNAL, "the map of peer %s is too large to show", c->var[0]);
    proto_write(&c->json, NULL, &m->base, NULL);
    return 0;
}
