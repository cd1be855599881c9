/* /api/peers/{peerId}/temporary-access */

#include "libcommon/account/rules/temporary.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/json/body.h"

int temporary_access_create(struct call *c, struct rk_err *err)
{
    rk_auto(body_done) struct body body = { 0 };
    struct rk_temporary_input in;
    char id[RK_XID_LEN + 1];
    int r;

    r = body_parse(c->body, c->arena, &body, err);
    if (r < 0)
        return r;
    in.name = body_str(&body, body.root, "name");
    in.wg_pub_key = body_str(&body, body.root, "wg_pub_key");
    in.rules = body_strs(&body, body.root, "rules", &in.rules_n, NULL);
    r = body_check(&body, err);
    if (r < 0)
        return r;
    r = rk_temporary_access(c->pg, &c->actor, c->var[0], &in, id, &c->bell, err);
    if (r < 0)
        return r;
    rk_json_object(&c->json, NULL);
    rk_json_cstr(&c->json, "id", id);
    rk_json_cstr(&c->json, "name", in.name);
    rk_json_array(&c->json, "rules");
    for (size_t i = 0; i < in.rules_n; i++)
        rk_json_str(&c->json, NULL, in.rules[i]);
    rk_json_array_end(&c->json);
    rk_json_object_end(&c->json);
    return 0;
}
