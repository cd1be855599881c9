/* The calls that need no peer: the server's key, health, and the two sign-in flows while no SSO is
 * configured. */

#include "libcommon/account/compile/wire.h"
#include "libcommon/base/clock.h"
#include "services/management/app.h"
#include "services/management/rpc/envelope.h"
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

/* Agents learn from NOT_FOUND that there is no SSO here, and ask for a setup key. */
static void no_flow(struct rk_grpc_call *call,
                    struct rk_str message,
                    struct app *app,
                    const char *name,
                    const char *kind)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(64 * 1024);
    struct envelope env;
    struct rk_err err;
    char text[256];

    memset(&env, 0, sizeof(env));
    if (envelope_open(&app->key, message, arena, &env, &err) == 0) {
        snprintf(text, sizeof(text), "no %s authorization flow information available", kind);
        rk_grpc_finish(call, RK_GRPC_NOT_FOUND, text);
    } else if (!*env.key_b64) {
        snprintf(text, sizeof(text),
                 "error while parsing peer's Wireguard public key on %s request.", name);
        rk_grpc_finish(call, RK_GRPC_INVALID_ARGUMENT, text);
    } else {
        snprintf(text, sizeof(text),
                 "error while decrypting peer's message with Wireguard public key %s.",
                 env.key_b64);
        rk_grpc_finish(call, RK_GRPC_INVALID_ARGUMENT, text);
    }
    rk_wipe(&env.box, sizeof(env.box));
}

void rpc_device_flow(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    no_flow(call, message, arg, "GetDeviceAuthorizationFlow", "device");
}

void rpc_pkce_flow(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    no_flow(call, message, arg, "GetPKCEAuthorizationFlow", "pkce");
}
