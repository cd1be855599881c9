/* See write.h. */

#include "services/dashboard-api/api/write.h"

#include <assert.h>
#include <jansson.h>
#include <stdarg.h>

#include "libcommon/account/rules/group.h"
#include "libcommon/base/alloc.h"

static const struct rk_pg_stmt briefs_stmt = { "group_briefs",
                                               RK_GROUP_BRIEFS RK_GROUP_BRIEFS_ORDER };

int write_empty(struct call *c)
{
    rk_json_object(&c->json, NULL);
    rk_json_object_end(&c->json);
    return 0;
}

void write_rows(struct rk_json *j, const struct rk_pg_result *res, write_row_fn *write)
{
    rk_json_array(j, NULL);
    for (int i = 0; i < rk_pg_rows(res); i++)
        write(j, res, i);
    rk_json_array_end(j);
}

static void ask_ahead(void *arg)
{
    struct call *c = arg;

    for (unsigned i = 0; i < c->ahead_n; i++) {
        rk_pg_result_free(rk_steal(c->ahead[i].res));
        if (rk_pg_later(c->pg, c->ahead[i].stmt, &c->ahead[i].res, NULL,
                        RK_P_C(c->actor.account_id), RK_P_C(c->ahead_id)) < 0)
            return;
    }
}

void answer_ahead(struct call *c, const char *id, const struct rk_pg_stmt *stmt, ...)
{
    va_list ap;

    c->ahead_id = id;
    va_start(ap, stmt);
    for (; stmt; stmt = va_arg(ap, const struct rk_pg_stmt *)) {
        assert(c->ahead_n < CALL_MAX_AHEAD);
        c->ahead[c->ahead_n++] = (struct call_ahead){ .stmt = stmt };
    }
    va_end(ap);
    rk_pg_then(c->pg, ask_ahead, c);
}

int ask_object(struct call *c,
               const struct rk_pg_stmt *stmt,
               const char *id,
               struct rk_pg_result **out,
               struct rk_err *err)
{
    for (unsigned i = 0; i < c->ahead_n; i++) {
        if (c->ahead[i].stmt != stmt || !c->ahead[i].res)
            continue;
        *out = rk_steal(c->ahead[i].res);
        return 0;
    }
    return rk_pg_run(c->pg, stmt, out, err, RK_P_C(c->actor.account_id), RK_P_C(id));
}

static int found(struct rk_pg_result **out, const char *what, const char *id, struct rk_err *err)
{
    if (rk_pg_rows(*out) > 0)
        return 0;
    rk_pg_result_free(rk_steal(*out));
    return rk_fail(err, RK_NOT_FOUND, "%s: %s not found", what, id);
}

int find_object(struct call *c,
                const struct rk_pg_stmt *stmt,
                const char *what,
                const char *id,
                struct rk_pg_result **out,
                struct rk_err *err)
{
    int r = ask_object(c, stmt, id, out, err);

    return r < 0 ? r : found(out, what, id, err);
}

int refused(struct call *c, int r, exists_fn *exists, const char *id, struct rk_err *err)
{
    struct rk_err gone = { 0 };

    if ((r != RK_INVALID && r != RK_BAD_REQUEST && r != RK_PRECONDITION) ||
        exists(c->pg, &c->actor, id, &gone) != RK_NOT_FOUND)
        return r;
    *err = gone;
    return RK_NOT_FOUND;
}

int answer_rows(struct call *c,
                const struct rk_pg_stmt *stmt,
                write_row_fn *write,
                struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, stmt, &res, err, RK_P_C(c->actor.account_id));

    if (r < 0)
        return r;
    write_rows(&c->json, res, write);
    return 0;
}

int answer_row(struct call *c,
               const struct rk_pg_stmt *stmt,
               const char *what,
               const char *id,
               write_row_fn *write,
               struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = find_object(c, stmt, what, id, &res, err);

    if (r < 0)
        return r;
    write(&c->json, res, 0);
    return 0;
}

int find_inside(struct call *c,
                const struct rk_pg_stmt *stmt,
                const char *what,
                const char *id,
                struct rk_pg_result **out,
                struct rk_err *err)
{
    int r = rk_pg_run(c->pg, stmt, out, err, RK_P_C(c->actor.account_id), RK_P_C(c->var[0]),
                      RK_P_C(id));

    return r < 0 ? r : found(out, what, id, err);
}

void write_strings(
    struct rk_json *j, const char *key, const struct rk_pg_result *res, int row, int col)
{
    rk_auto(rk_free) struct rk_str *list = NULL;
    size_t n = 0;

    rk_pg_array(res, row, col, &list, &n);
    rk_json_array(j, key);
    for (size_t i = 0; i < n; i++)
        rk_json_str(j, NULL, list[i]);
    rk_json_array_end(j);
}

void write_jsonb(
    struct rk_json *j, const char *key, const struct rk_pg_result *res, int row, int col)
{
    struct rk_str stored = rk_pg_str(res, row, col);
    json_t *value = json_loadb(stored.p, stored.n, JSON_DECODE_ANY, NULL);
    rk_auto(rk_free) char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    json_decref(value);
    if (text)
        rk_json_raw(j, key, rk_str(text));
    else
        rk_json_null(j, key);
}

void group_briefs_done(struct group_briefs *g)
{
    rk_map_free(g->by_id);
}

void group_briefs_take(struct call *c, const struct rk_pg_result *res, struct group_briefs *out)
{
    out->by_id = rk_map_new();
    for (int i = 0; i < rk_pg_rows(res); i++) {
        struct group_brief *g = rk_arena_alloc(c->arena, sizeof(*g));

        g->id = rk_arena_strn(c->arena, rk_pg_str(res, i, 0));
        g->name = rk_arena_strn(c->arena, rk_pg_str(res, i, 1));
        g->peers = rk_pg_int(res, i, 2);
        g->resources = rk_pg_int(res, i, 3);
        g->place = (size_t)i;
        (void)rk_map_put(out->by_id, rk_str(g->id), g);
    }
}

int group_briefs_load(struct call *c, struct group_briefs *out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &briefs_stmt, &res, err, RK_P_C(c->actor.account_id));

    if (r == 0)
        group_briefs_take(c, res, out);
    return r;
}

int group_briefs_of(struct call *c,
                    const struct rk_pg_stmt *stmt,
                    const char *id,
                    struct group_briefs *out,
                    struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = ask_object(c, stmt, id, &res, err);

    if (r == 0)
        group_briefs_take(c, res, out);
    return r;
}

int group_brief_order(const void *a, const void *b)
{
    const struct group_brief *x = *(const struct group_brief *const *)a,
                             *y = *(const struct group_brief *const *)b;

    return (x->place > y->place) - (x->place < y->place);
}

void write_group_brief(struct rk_json *j, const struct group_brief *g)
{
    rk_json_object(j, NULL);
    rk_json_cstr(j, "id", g->id);
    rk_json_cstr(j, "name", g->name);
    rk_json_int(j, "peers_count", g->peers);
    rk_json_int(j, "resources_count", g->resources);
    rk_json_object_end(j);
}

void write_group_list(struct rk_json *j,
                      const char *key,
                      const struct rk_pg_result *res,
                      int row,
                      int col,
                      const struct group_briefs *groups)
{
    rk_auto(rk_free) struct rk_str *ids = NULL;
    size_t n = 0;

    rk_pg_array(res, row, col, &ids, &n);
    write_group_ids(j, key, ids, n, groups);
}

void write_group_ids(struct rk_json *j,
                     const char *key,
                     const struct rk_str *ids,
                     size_t n,
                     const struct group_briefs *groups)
{
    size_t written = 0;

    for (size_t i = 0; i < n; i++) {
        const struct group_brief *g = rk_map_get(groups->by_id, ids[i]);

        if (!g)
            continue;
        if (written++ == 0)
            rk_json_array(j, key);
        write_group_brief(j, g);
    }
    if (written == 0)
        rk_json_null(j, key);
    else
        rk_json_array_end(j);
}
