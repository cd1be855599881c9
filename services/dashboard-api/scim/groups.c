/*
 * /Groups. Members are read and written as sets. A page holds fewer groups than were asked for when
 * they have too many members between them.
 */

#include "services/dashboard-api/scim/answer.h"
#include "services/dashboard-api/scim/fault.h"
#include "services/dashboard-api/scim/group.h"
#include "services/dashboard-api/scim/handlers.h"
#include "services/dashboard-api/scim/json.h"

#define MEMBERS_PAGE_MAX 50000 /* members of all groups of an answer, but for the first */

/* `members`: whether they are shown, and so counted, of those that `which` has found. */
#define COLUMNS(members, which)                                                                    \
    "SELECT s.id, s.name, s.external_id, s.version, s.created_at, s.updated_at, CASE "             \
    "WHEN " members                                                                                \
    "::boolean THEN (SELECT count(*) FROM scim_member m WHERE m.group_id = s.id) ELSE 0 "          \
    "END FROM (SELECT * FROM scim_group s WHERE s.integration_id = $1 AND " which                  \
    ") s ORDER BY s.seq"
enum {
    ID,
    NAME,
    EXTERNAL_ID,
    VERSION,
    CREATED,
    UPDATED,
    MEMBERS,
};
#define OTHERS                                                                                     \
    "($2::text IS NULL OR s.id = $2) AND ($3::text IS NULL OR lower(s.name) = lower($3)) AND "     \
    "($4::text IS NULL OR s.external_id = $4) AND ($5::text IS NULL OR EXISTS (SELECT 1 FROM "     \
    "scim_member m WHERE m.group_id = s.id AND m.user_id = $5))"
#define BY(name, condition)                                                                        \
    {                                                                                              \
        { "scim_group_count_" name,                                                                \
          "SELECT count(*) FROM scim_group s WHERE s.integration_id = $1 AND " condition OTHERS }, \
        {                                                                                          \
            "scim_group_list_" name, COLUMNS("$8", condition OTHERS                                \
                                             " ORDER BY s.seq OFFSET $6::bigint LIMIT $7::bigint") \
        }                                                                                          \
    }

static const struct {
    struct rk_pg_stmt count, page;
} lists[] = {
    BY("all", ""),
    BY("id", "s.id = $2 AND "),
    BY("name", "lower(s.name) = lower($3) AND "),
    BY("external", "s.external_id = $4 AND s.external_id <> '' AND "),
    BY("member", "s.id IN (SELECT group_id FROM scim_member WHERE user_id = $5) AND "),
};
static const struct rk_pg_stmt get_stmt = { "scim_group_get", COLUMNS("$3", "s.id = $2") };
static const struct rk_pg_stmt members_stmt = {
    "scim_group_members",
    "SELECT x.n, u.id, u.name FROM unnest($1::text[]) WITH ORDINALITY AS x(id, n) JOIN scim_member "
    "m ON m.group_id = x.id JOIN scim_user u ON u.id = m.user_id ORDER BY x.n, u.seq"
};

/* === Reading === */

/* The members of the group in `row`, whose rows begin at *at. */
static void write_members(struct call *c,
                          const struct scim_select *sel,
                          const struct rk_pg_result *members,
                          int row,
                          int *at)
{
    struct rk_json *j = &c->json;
    bool display = scim_select_wants(sel, "members", "display");
    bool type = scim_select_wants(sel, "members", "type");
    bool ref = scim_select_wants(sel, "members", "$ref");
    const char *base = scim_base(c);

    rk_json_array(j, "members");
    for (; *at < rk_pg_rows(members) && rk_pg_int(members, *at, 0) == row + 1; (*at)++) {
        struct rk_str id = rk_pg_str(members, *at, 1);
        char url[512];

        rk_json_object(j, NULL);
        rk_json_str(j, "value", id);
        if (ref) {
            snprintf(url, sizeof(url), "%.400s/Users/%.*s", base, RK_STR_FMT(id));
            rk_json_cstr(j, "$ref", url);
        }
        if (display)
            rk_json_str(j, "display", rk_pg_str(members, *at, 2));
        if (type)
            rk_json_cstr(j, "type", "User");
        rk_json_object_end(j);
    }
    rk_json_array_end(j);
}

/* The first `rows` groups of `res`. */
static int write_groups(struct call *c,
                        const struct scim_select *sel,
                        const struct rk_pg_result *res,
                        int rows,
                        struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *members = NULL;
    struct rk_str *ids = rk_arena_alloc(c->arena, ((size_t)rows + 1) * sizeof(*ids));
    struct rk_json *j = &c->json;
    int at = 0, r = 0;

    for (int i = 0; i < rows; i++)
        ids[i] = rk_pg_str(res, i, ID);
    if (scim_select_wants(sel, "members", NULL))
        r = rk_pg_run(c->pg, &members_stmt, &members, err, RK_P_ARRAY(ids, (size_t)rows));
    for (int i = 0; r == 0 && i < rows; i++) {
        scim_resource_begin(c, SCIM_GROUP_URN, ids[i]);
        if (scim_select_wants(sel, "displayName", NULL))
            rk_json_str(j, "displayName", rk_pg_str(res, i, NAME));
        if (rk_pg_str(res, i, EXTERNAL_ID).n > 0 && scim_select_wants(sel, "externalId", NULL))
            rk_json_str(j, "externalId", rk_pg_str(res, i, EXTERNAL_ID));
        if (members)
            write_members(c, sel, members, i, &at);
        scim_resource_end(c, sel, "Group", ids[i], rk_pg_time(res, i, CREATED),
                          rk_pg_time(res, i, UPDATED), rk_pg_int(res, i, VERSION));
    }
    return r;
}

static int answer(struct call *c, const struct rk_scim *scim, const char *id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct scim_select sel = scim_select_read(c);
    int r =
        rk_pg_run(c->pg, &get_stmt, &res, err, RK_P_INT(scim->id), RK_P_C(id), RK_P_BOOL(false));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "group %.64s not found", id);
    return write_groups(c, &sel, res, 1, err);
}

struct search {
    const char *id, *name, *external_id, *member;
    bool nobody;
};

static int
search_term(struct call *c, const struct scim_term *t, struct search *s, struct rk_err *err)
{
    const struct {
        const char *name;
        const char **slot;
        bool value; /* name.value means the same */
    } texts[] = {
        { "id", &s->id, false },
        { "displayName", &s->name, false },
        { "externalId", &s->external_id, false },
        { "members", &s->member, true },
    };

    for (size_t i = 0; i < RK_COUNT(texts); i++) {
        bool value = texts[i].value && rk_str_ieq(t->sub, RK_STR("value"));

        if (!rk_str_ieq(t->name, rk_str(texts[i].name)) || (t->sub.n > 0 && !value))
            continue;
        if (t->type.p && !rk_str_ieq(t->type, RK_STR("User")))
            s->nobody = true;
        scim_term_once(t->value, c->arena, texts[i].slot, &s->nobody);
        return 0;
    }
    return scim_fail(err, SCIM_INVALID_FILTER, "groups can't be found by %.*s",
                     RK_STR_FMT(t->name));
}

static size_t choose(const struct search *s)
{
    return s->id ? 1 : s->name ? 2 : s->external_id ? 3 : s->member ? 4 : 0;
}

/* How many groups of the page there is room for. */
static int fit(const struct rk_pg_result *res)
{
    int64_t members = 0;
    int n = 0;

    for (; n < rk_pg_rows(res); n++) {
        members += rk_pg_int(res, n, MEMBERS);
        if (n > 0 && members > MEMBERS_PAGE_MAX)
            break;
    }
    return n;
}

static int list(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *count = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct scim_select sel = scim_select_read(c);
    struct scim_page page = scim_page_read(c);
    struct scim_term terms[SCIM_TERMS_MAX];
    struct search s = { .id = NULL };
    struct rk_pg_param in[8];
    int64_t total = 0;
    size_t n;
    int r = scim_terms_read(c, terms, &n, err), rows = 0;

    for (size_t i = 0; r == 0 && i < n; i++)
        r = search_term(c, &terms[i], &s, err);
    if (r < 0)
        return r;
    in[0] = RK_P_INT(scim->id);
    in[1] = RK_P_C(s.id);
    in[2] = RK_P_C(s.name);
    in[3] = RK_P_C(s.external_id);
    in[4] = RK_P_C(s.member);
    in[5] = RK_P_INT(page.start - 1);
    in[6] = RK_P_INT(page.count);
    in[7] = RK_P_BOOL(scim_select_wants(&sel, "members", NULL));
    if (!s.nobody) {
        r = rk_pg_exec(c->pg, &lists[choose(&s)].count, in, 5, &count, err);
        if (r < 0)
            return r;
        total = rk_pg_int(count, 0, 0);
    }
    if (total >= page.start && page.count > 0) {
        r = rk_pg_exec(c->pg, &lists[choose(&s)].page, in, RK_COUNT(in), &res, err);
        if (r < 0)
            return r;
        rows = fit(res);
    }
    scim_list_begin(c);
    if (rows > 0)
        r = write_groups(c, &sel, res, rows, err);
    if (r == 0)
        scim_list_end(c, total, page.start, rows);
    return r;
}

static int get(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    return answer(c, scim, c->var[0], err);
}

/* === Writing === */

static int take_step(struct rk_scim_change *sc,
                     const char *id,
                     const struct scim_step *step,
                     struct rk_err *err)
{
    int r;

    if (step->nested > 0) {
        r = rk_scim_note(sc, RK_SCIM_WARN, err, "group %s: %zu members are groups, and left out",
                         id, step->nested);
        if (r < 0)
            return r;
    }
    switch (step->kind) {
    case SCIM_STEP_NAME:
        return rk_scim_group_update(sc, id, step->text, NULL, err);
    case SCIM_STEP_EXTERNAL_ID:
        return rk_scim_group_update(sc, id, NULL, step->text, err);
    case SCIM_STEP_ADD:
        return rk_scim_group_members(sc, id, RK_SCIM_ADD, step->ids, step->ids_n, err);
    case SCIM_STEP_REMOVE:
        return rk_scim_group_members(sc, id, RK_SCIM_REMOVE, step->ids, step->ids_n, err);
    case SCIM_STEP_REPLACE:
        return rk_scim_group_members(sc, id, RK_SCIM_REPLACE, step->ids, step->ids_n, err);
    }
    return 0;
}

static int create(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = NULL;
    rk_auto(json_decref) json_t *body = NULL;
    const char *external_id = "";
    struct scim_step *steps;
    char id[RK_UUID_LEN + 1];
    size_t n;
    int r = scim_json_parse(c->body, &body, err);

    if (r == 0)
        r = scim_group_read(body, c->arena, &steps, &n, err);
    if (r == 0)
        r = rk_scim_begin(c->pg, scim, &sc, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        if (steps[i].kind == SCIM_STEP_EXTERNAL_ID)
            external_id = steps[i].text;
    r = rk_scim_group_create(sc, steps[0].text, external_id, id, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (steps[i].kind == SCIM_STEP_REPLACE)
            r = take_step(sc, id, &steps[i], err);
    if (r == 0)
        r = answer(c, scim, id, err);
    if (r == 0)
        r = rk_scim_commit(&sc, &c->bell, err);
    if (r == 0)
        scim_created(c, "Group", id);
    return r;
}

/* Under the account's lock: what was read of the group before it may be old. */
static int take_steps(struct call *c,
                      const struct rk_scim *scim,
                      const struct scim_step *steps,
                      size_t n,
                      bool show,
                      struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = NULL;
    int r = rk_scim_begin(c->pg, scim, &sc, err);

    if (r == 0)
        r = rk_scim_group_update(sc, c->var[0], NULL, NULL, err); /* it exists */
    for (size_t i = 0; r == 0 && i < n; i++)
        r = take_step(sc, c->var[0], &steps[i], err);
    if (r == 0 && show)
        r = answer(c, scim, c->var[0], err);
    return r < 0 ? r : rk_scim_commit(&sc, &c->bell, err);
}

static int replace(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    rk_auto(json_decref) json_t *body = NULL;
    struct scim_step *steps;
    size_t n;
    int r = scim_json_parse(c->body, &body, err);

    if (r == 0)
        r = scim_group_read(body, c->arena, &steps, &n, err);
    return r < 0 ? r : take_steps(c, scim, steps, n, true, err);
}

static int change(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    rk_auto(json_decref) json_t *body = NULL;
    bool show = call_query(c, "attributes") != NULL;
    struct scim_step *steps;
    struct scim_op *ops;
    size_t n;
    int r = scim_json_parse(c->body, &body, err);

    if (r == 0)
        r = scim_patch_read(body, c->arena, &ops, &n, err);
    if (r == 0)
        r = scim_group_patch(ops, n, c->arena, &steps, &n, err);
    c->status = show ? 200 : 204;
    return r < 0 ? r : take_steps(c, scim, steps, n, show, err);
}

static int remove_group(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = NULL;
    int r = rk_scim_begin(c->pg, scim, &sc, err);

    if (r == 0)
        r = rk_scim_group_delete(sc, c->var[0], err);
    if (r == 0)
        r = rk_scim_commit(&sc, &c->bell, err);
    c->status = 204;
    return r;
}

int scim_group_list(struct call *c, struct rk_err *err)
{
    return scim_serve(c, list, err);
}

int scim_group_get(struct call *c, struct rk_err *err)
{
    return scim_serve(c, get, err);
}

int scim_group_create(struct call *c, struct rk_err *err)
{
    return scim_serve(c, create, err);
}

int scim_group_replace(struct call *c, struct rk_err *err)
{
    return scim_serve(c, replace, err);
}

int scim_group_change(struct call *c, struct rk_err *err)
{
    return scim_serve(c, change, err);
}

int scim_group_delete(struct call *c, struct rk_err *err)
{
    return scim_serve(c, remove_group, err);
}
