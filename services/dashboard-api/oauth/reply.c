/* See reply.h. */

#include "services/dashboard-api/oauth/reply.h"

#include <string.h>

void reply_no_store(struct call *c)
{
    if (c->no_store)
        return;
    c->no_store = true;
    call_header(c, "Pragma", "no-cache");
}

int reply_refused(struct call *c, const struct refusal *why)
{
    bool unknown = strcmp(why->error, "invalid_client") == 0;

    c->status = unknown ? 401 : 400;
    if (unknown)
        call_header(c, "WWW-Authenticate", "Basic realm=\"oauth2\"");
    reply_no_store(c);
    rk_buf_clear(&c->out);
    rk_json_init(&c->json, &c->out);
    rk_json_object(&c->json, NULL);
    rk_json_cstr(&c->json, "error", why->error);
    rk_json_cstr(&c->json, "error_description", why->why);
    rk_json_object_end(&c->json);
    return 0;
}
