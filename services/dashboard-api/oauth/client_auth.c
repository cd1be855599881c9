/* See client_auth.h. */

#include "services/dashboard-api/oauth/client_auth.h"

#include <string.h>

#include "services/dashboard-api/oauth/basic.h"

static const struct client *refuse(struct refusal *out, const char *error, const char *why)
{
    *out = (struct refusal){ error, why };
    return NULL;
}

const struct client *client_authenticate(const struct clients *clients,
                                         const char *authorization,
                                         const struct params *params,
                                         struct rk_arena *arena,
                                         struct refusal *out_why)
{
    const char *in_body = params_get(params, "client_id"), *id = NULL, *secret = "";
    const struct client *cl;

    switch (basic_parse(rk_str(authorization), arena, &id, &secret)) {
    case BASIC_BAD:
        return refuse(out_why, "invalid_client", "the Authorization header is not well-formed");
    case BASIC_GIVEN:
        if (in_body && strcmp(in_body, id) != 0)
            return refuse(out_why, "invalid_request", "two different clients are named");
        break;
    case BASIC_ABSENT:
        id = in_body;
        break;
    }
    if (!id)
        return refuse(out_why, "invalid_client", "client_id is missing");
    cl = client_find(clients, id);
    if (!cl)
        return refuse(out_why, "invalid_client", "the client is not known");
    if (secret[0] != '\0' || params_get(params, "client_secret"))
        return refuse(out_why, "invalid_client", "this client has no secret");
    if (params_get(params, "client_assertion"))
        return refuse(out_why, "invalid_client", "client assertions are not supported");
    return cl;
}

const struct client *client_posts(struct call *c,
                                  const struct clients *clients,
                                  struct params *out,
                                  struct refusal *out_why)
{
    struct rk_err err;

    if (!params_is_form(c->head.content_type))
        return refuse(out_why, "invalid_request",
                      "the body must be application/x-www-form-urlencoded");
    if (params_parse(c->body, c->arena, out, &err) < 0)
        return refuse(out_why, "invalid_request", "the body is not well-formed");
    if (out->repeated)
        return refuse(out_why, "invalid_request", "a parameter stands twice");
    return client_authenticate(clients, c->head.authorization, out, c->arena, out_why);
}
