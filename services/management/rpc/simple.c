/* The calls that need no peer: the server's key, and health. */

#include "libcommon/account/compile/wire.h"
#include "libcommon/base/clock.h"
#include "services/management/app.h"
#include "services/management/rpc/methods.h"

#define KEY_VALID_S 86400

void rpc_server_key(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    struct app *app = arg;
    rk_auto(rk_buf_done) struct rk_buf b;
    size_t at;

    (void)message;
    rk_buf_init(&b, 256);
    rk_wire_str(&b, 1, rk_str(app->key_b64));
    at = rk_wire_begin(&b, 2);
    rk_wire_uint(&b, 1, (uint64_t)(rk_wall_s() + KEY_VALID_S));
    rk_wire_end(&b, at);
    rk_grpc_send(call, rk_buf_str(&b));
    rk_grpc_finish(call, RK_GRPC_OK, NULL);
}

void rpc_is_healthy(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    (void)message;
    (void)arg;
    rk_grpc_send(call, RK_STR(""));
    rk_grpc_finish(call, RK_GRPC_OK, NULL);
}
