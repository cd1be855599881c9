/* See call.h. */

#include "services/dashboard-api/call.h"

#include <assert.h>

void call_header(struct call *c, const char *name, const char *value)
{
    assert(c->headers_n < CALL_MAX_HEADERS);
    c->header[c->headers_n++] = (struct call_header){ name, value };
}

int call_may_hash(struct call *c)
{
    if (c->pool == POOL_PASSWORD)
        return 0;
    c->move = POOL_PASSWORD;
    return CALL_MOVE;
}

void call_ahead_done(struct call *c)
{
    rk_pg_then(c->pg, NULL, NULL);
    for (unsigned i = 0; i < c->ahead_n; i++)
        rk_pg_result_free(c->ahead[i].res);
    c->ahead_n = 0;
}

int call_page(struct call *c, struct rk_err *err)
{
    return page_parse(c->query, c->arena, &c->page, err);
}

const char *call_query(struct call *c, const char *name)
{
    struct rk_str rest = c->query, part;

    while (rk_str_next(&rest, '&', &part)) {
        struct rk_str key;

        if (!rk_str_next(&part, '=', &key) || !rk_str_eq(key, rk_str(name)))
            continue;
        return route_text(c->arena, part, true);
    }
    return NULL;
}

const char *call_source(struct call *c)
{
    char who[RK_ADDR_LEN];

    rk_addr_source(c->remote_ip, who);
    return rk_arena_strdup(c->arena, who);
}
