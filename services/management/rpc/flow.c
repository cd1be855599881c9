/* What agents ask before they have anything: with which client and where to sign in. */

#include "libcommon/account/compile/wire.h"
#include "libcommon/oidc/config.h"
#include "services/management/app.h"
#include "services/management/rpc/envelope.h"
#include "services/management/rpc/known.h"
#include "services/management/rpc/methods.h"

#define FLOW_MAX (256u * 1024)

typedef int flow_fn(const struct rk_oidc_config *c,
                    struct rk_verifier *v,
                    struct rk_arena *arena,
                    struct rk_oidc_flow *out,
                    struct rk_err *err);

struct flow {
    const char *method;
    flow_fn *find;
    unsigned
        field; /* of ProviderConfig in the answer; a provider before it is HOSTED, which is 0 */
};
static const struct flow device = { "GetDeviceAuthorizationFlow", rk_oidc_device_flow, 2 };
static const struct flow pkce = { "GetPKCEAuthorizationFlow", rk_oidc_pkce_flow, 1 };

static void put(const struct rk_oidc_flow *f, unsigned field, struct rk_buf *b)
{
    size_t at = rk_wire_begin(b, field);

    rk_wire_str(b, 1, rk_str(f->client_id));
    rk_wire_str(b, 3, rk_str(f->domain));
    rk_wire_str(b, 4, rk_str(f->audience));
    rk_wire_str(b, 5, rk_str(f->device_authorization_endpoint));
    rk_wire_str(b, 6, rk_str(f->token_endpoint));
    rk_wire_str(b, 7, rk_str(f->scope));
    rk_wire_bool(b, 8, f->use_id_token);
    rk_wire_str(b, 9, rk_str(f->authorization_endpoint));
    for (size_t i = 0; i < f->redirect_urls_n; i++)
        rk_wire_str(b, 10, f->redirect_urls[i]);
    rk_wire_bool(b, 11, f->disable_prompt_login);
    rk_wire_uint(b, 12, (uint64_t)f->login_flag);
    rk_wire_end(b, at);
}

static void answer(struct rk_grpc_call *call,
                   struct app *app,
                   const struct flow *flow,
                   const struct envelope *env,
                   struct rk_arena *arena)
{
    rk_auto(rk_bytes_unref) struct rk_bytes *frame = NULL;
    rk_auto(rk_buf_done) struct rk_buf b;
    struct rk_oidc_flow found = { .client_id = "" };
    struct rk_err err = { 0 };
    int r = flow->find(&app->cfg->oidc, app->verifier, arena, &found, &err);

    rk_buf_init(&b, FLOW_MAX);
    if (r < 0) {
        rk_grpc_finish(call, rk_grpc_status_of(r), err.msg);
        return;
    }
    put(&found, flow->field, &b);
    frame = envelope_seal(app->key_b64, &env->box, rk_buf_str(&b));
    rk_grpc_send_frame(call, frame);
    rk_grpc_finish(call, RK_GRPC_OK, NULL);
}

static void
ask(struct rk_grpc_call *call, struct rk_str message, struct app *app, const struct flow *flow)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(FLOW_MAX);
    struct envelope env;
    struct rk_err err;
    char text[256];

    memset(&env, 0, sizeof(env));
    if (envelope_open(&app->key, known_box, app, message, arena, &env, &err) == 0) {
        answer(call, app, flow, &env, arena);
    } else if (!*env.key_b64) {
        snprintf(text, sizeof(text),
                 "error while parsing peer's Wireguard public key on %s request.", flow->method);
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
    ask(call, message, arg, &device);
}

void rpc_pkce_flow(struct rk_grpc_call *call, struct rk_str message, void *arg)
{
    ask(call, message, arg, &pkce);
}
