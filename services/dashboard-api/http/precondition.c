/* See precondition.h. */

#include "services/dashboard-api/http/precondition.h"

#include "services/dashboard-api/auth/caller.h"

#define ROOT RK_STR("/api")

/* The route that shows what the path changes. */
static const struct route *shown_by(struct rk_str path, struct rk_str vars[ROUTE_MAX_VARS])
{
    const struct route *route = NULL;

    while (path.n > ROOT.n) {
        if (route_find(RK_STR("GET"), path, &route, vars) == ROUTE_FOUND && !route->is_public)
            return route;
        while (path.p[path.n - 1] != '/')
            path.n--;
        path.n--;
    }
    return NULL;
}

/* The object as its GET would show it now, to this caller. */
static int show(struct request *q,
                const struct route *route,
                struct rk_str *vars,
                struct call *c,
                struct rk_err *err)
{
    int r;

    *c = q->call;
    c->route = route;
    c->query = c->body = (struct rk_str){ NULL, 0 };
    for (size_t i = 0; i < ROUTE_MAX_VARS; i++)
        c->var[i] = route_text(q->arena, vars[i], false);
    rk_buf_init(&c->out, CALL_MAX_OUT);
    rk_json_init(&c->json, &c->out);
    r = caller_permit(c, err);
    if (r < 0)
        return r;
    r = route->handler(c, err);
    rk_buf_put_c(&c->out, "\n");
    return r;
}

static int check(void *arg, struct rk_err *err)
{
    struct request *q = arg;
    struct rk_str vars[ROUTE_MAX_VARS] = { { NULL, 0 } };
    const struct route *route = shown_by(q->path, vars);
    struct call c = { .config = NULL };
    char now[ETAG_LEN + 1];
    int r;

    if (!route)
        return 0;
    r = show(q, route, vars, &c, err);
    etag_of(rk_buf_str(&c.out), now);
    rk_buf_done(&c.out);
    if (r == RK_NOT_FOUND || r == RK_DENIED)
        return 0; /* the change itself says so, in its own words */
    if (r < 0)
        return r;
    if (!etag_listed(rk_str(q->if_match), now, false))
        return rk_fail(err, RK_PRECONDITION, "the object has changed since it was read");
    return 0;
}

static bool wanted(const struct request *q)
{
    return q->if_match && q->route->kind == ROUTE_REST && q->route->writes &&
           strcmp(q->route->method, "POST") != 0;
}

void precondition_set(struct request *q)
{
    if (wanted(q))
        rk_pg_guard(q->call.pg, check, q);
}

void precondition_clear(struct request *q)
{
    rk_pg_guard(q->call.pg, NULL, NULL);
}
