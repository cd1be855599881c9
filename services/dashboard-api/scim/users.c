/*
 * /Users. A list is found by the one condition that narrows it most, each with an index and a
 * statement of its own; the others of a filter are then asked of what is left.
 */

#include "services/dashboard-api/scim/answer.h"
#include "services/dashboard-api/scim/fault.h"
#include "services/dashboard-api/scim/handlers.h"
#include "services/dashboard-api/scim/json.h"
#include "services/dashboard-api/scim/user.h"

/* `groups`: whether they are shown. They are asked for those alone that `which` has found, not for
 * those before the page. */
#define COLUMNS(groups, which)                                                                     \
    "SELECT s.id, s.resource, s.version, s.created_at, s.updated_at, CASE WHEN " groups            \
    "::boolean THEN coalesce((SELECT jsonb_agg(jsonb_build_object('value', g.id, 'display', "      \
    "g.name, 'type', 'direct') ORDER BY g.seq) FROM scim_member m JOIN scim_group g ON g.id = "    \
    "m.group_id WHERE m.user_id = s.id), '[]') END FROM (SELECT * FROM scim_user s WHERE "         \
    "s.integration_id = $1 AND " which ") s ORDER BY s.seq"
enum {
    ID,
    RESOURCE,
    VERSION,
    CREATED,
    UPDATED,
    GROUPS,
};
#define OTHERS                                                                                     \
    "($2::text IS NULL OR s.id = $2) AND ($3::text IS NULL OR lower(s.user_name) = lower($3)) "    \
    "AND "                                                                                         \
    "($4::text IS NULL OR s.external_id = $4) AND ($5::text IS NULL OR "                           \
    "lower(s.resource->>'displayName') = lower($5)) AND ($6::text[] IS NULL OR s.email_keys @> "   \
    "$6::text[]) AND ($7::boolean IS NULL OR s.active = $7)"
#define BY(name, condition)                                                                        \
    {                                                                                              \
        { "scim_user_count_" name,                                                                 \
          "SELECT count(*) FROM scim_user s WHERE s.integration_id = $1 AND " condition OTHERS },  \
        {                                                                                          \
            "scim_user_list_" name, COLUMNS("$10", condition OTHERS                                \
                                            " ORDER BY s.seq OFFSET $8::bigint LIMIT $9::bigint")  \
        }                                                                                          \
    }

static const struct {
    struct rk_pg_stmt count, page;
} lists[] = {
    BY("all", ""),
    BY("id", "s.id = $2 AND "),
    BY("name", "lower(s.user_name) = lower($3) AND "),
    BY("external", "s.external_id = $4 AND s.external_id <> '' AND "),
    BY("email", "s.email_keys @> $6::text[] AND "),
    BY("display", "lower(s.resource->>'displayName') = lower($5) AND "),
};
static const struct rk_pg_stmt get_stmt = { "scim_user_get", COLUMNS("$3", "s.id = $2") };
static const struct rk_pg_stmt resource_stmt = {
    "scim_user_resource",
    "SELECT resource FROM scim_user WHERE integration_id = $1 AND id = $2 FOR UPDATE"
};

/* === Reading === */

static json_t *load(struct rk_str text)
{
    json_t *v = json_loadb(text.p, text.n, 0, NULL);

    return v ? v : json_object();
}

static int dump_bytes(const char *p, size_t n, void *out)
{
    return rk_buf_put(out, p, n) ? 0 : -1;
}

static void write_value(struct call *c, const char *key, const json_t *v)
{
    rk_auto(rk_buf_done) struct rk_buf text;

    rk_buf_init(&text, 1 << 20);
    (void)json_dump_callback(v, dump_bytes, &text, JSON_COMPACT | JSON_ENCODE_ANY);
    rk_json_raw(&c->json, key, rk_buf_str(&text));
}

/* Of an element, the parts that are shown. */
static void drop_parts(json_t *v, const struct scim_attribute *at, const struct scim_select *sel)
{
    for (size_t i = 0; i < json_array_size(v); i++)
        drop_parts(json_array_get(v, i), at, sel);
    for (const struct scim_attribute *sub = at->sub; json_is_object(v) && sub->name; sub++)
        if (!scim_select_wants(sel, at->name, sub->name))
            (void)json_object_del(v, sub->name);
}

static void
write_user(struct call *c, const struct scim_select *sel, const struct rk_pg_result *res, int row)
{
    rk_auto(json_decref) json_t *user = load(rk_pg_str(res, row, RESOURCE));

    scim_resource_begin(c, SCIM_USER_URN, rk_pg_str(res, row, ID));
    for (const struct scim_attribute *at = scim_user_attributes; at->name; at++) {
        json_t *v = json_object_get(user, at->name);

        if (!v || !scim_select_wants(sel, at->name, NULL))
            continue;
        if (at->sub)
            drop_parts(v, at, sel);
        write_value(c, at->name, v);
    }
    if (!rk_pg_null(res, row, GROUPS))
        rk_json_raw(&c->json, "groups", rk_pg_str(res, row, GROUPS));
    scim_resource_end(c, sel, "User", rk_pg_str(res, row, ID), rk_pg_time(res, row, CREATED),
                      rk_pg_time(res, row, UPDATED), rk_pg_int(res, row, VERSION));
}

static int answer(struct call *c, const struct rk_scim *scim, const char *id, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct scim_select sel = scim_select_read(c);
    int r = rk_pg_run(c->pg, &get_stmt, &res, err, RK_P_INT(scim->id), RK_P_C(id),
                      RK_P_BOOL(scim_select_wants(&sel, "groups", NULL)));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "user %.64s not found", id);
    write_user(c, &sel, res, 0);
    return 0;
}

struct search {
    const char *id, *user_name, *external_id, *display_name;
    struct rk_str email_keys[SCIM_TERMS_MAX];
    size_t email_keys_n;
    bool has_active, active;
    bool nobody; /* two conditions that exclude each other */
};

static int
search_term(struct call *c, const struct scim_term *t, struct search *s, struct rk_err *err)
{
    const struct {
        const char *name;
        const char **slot;
    } texts[] = {
        { "id", &s->id },
        { "userName", &s->user_name },
        { "externalId", &s->external_id },
        { "displayName", &s->display_name },
    };
    bool active;

    for (size_t i = 0; i < RK_COUNT(texts) && t->sub.n == 0 && !t->type.p; i++) {
        if (!rk_str_ieq(t->name, rk_str(texts[i].name)))
            continue;
        scim_term_once(t->value, c->arena, texts[i].slot, &s->nobody);
        return 0;
    }
    if (rk_str_ieq(t->name, RK_STR("emails")) &&
        (t->sub.n == 0 || rk_str_ieq(t->sub, RK_STR("value")))) {
        s->email_keys[s->email_keys_n++] = scim_email_key(c->arena, t->type, t->value);
        return 0;
    }
    active = rk_str_ieq(t->value, RK_STR("true"));
    if (rk_str_ieq(t->name, RK_STR("active")) && t->sub.n == 0 && !t->type.p &&
        (active || rk_str_ieq(t->value, RK_STR("false")))) {
        s->nobody |= s->has_active && s->active != active;
        s->has_active = true;
        s->active = active;
        return 0;
    }
    return scim_fail(err, SCIM_INVALID_FILTER, "users can't be found by %.*s", RK_STR_FMT(t->name));
}

static size_t choose(const struct search *s)
{
    return s->id             ? 1
           : s->user_name    ? 2
           : s->external_id  ? 3
           : s->email_keys_n ? 4
           : s->display_name ? 5
                             : 0;
}

static int list(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *count = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct scim_select sel = scim_select_read(c);
    struct scim_page page = scim_page_read(c);
    struct scim_term terms[SCIM_TERMS_MAX];
    struct search s = { .id = NULL };
    struct rk_pg_param in[10];
    int64_t total = 0;
    size_t n;
    int r = scim_terms_read(c, terms, &n, err), rows = 0;

    for (size_t i = 0; r == 0 && i < n; i++)
        r = search_term(c, &terms[i], &s, err);
    if (r < 0)
        return r;
    in[0] = RK_P_INT(scim->id);
    in[1] = RK_P_C(s.id);
    in[2] = RK_P_C(s.user_name);
    in[3] = RK_P_C(s.external_id);
    in[4] = RK_P_C(s.display_name);
    in[5] = s.email_keys_n ? RK_P_ARRAY(s.email_keys, s.email_keys_n) : RK_P_NULL;
    in[6] = s.has_active ? RK_P_BOOL(s.active) : RK_P_NULL;
    in[7] = RK_P_INT(page.start - 1);
    in[8] = RK_P_INT(page.count);
    in[9] = RK_P_BOOL(scim_select_wants(&sel, "groups", NULL));
    if (!s.nobody) {
        r = rk_pg_exec(c->pg, &lists[choose(&s)].count, in, 7, &count, err);
        if (r < 0)
            return r;
        total = rk_pg_int(count, 0, 0);
    }
    if (total >= page.start && page.count > 0) {
        r = rk_pg_exec(c->pg, &lists[choose(&s)].page, in, RK_COUNT(in), &res, err);
        if (r < 0)
            return r;
        rows = rk_pg_rows(res);
    }
    scim_list_begin(c);
    for (int i = 0; i < rows; i++)
        write_user(c, &sel, res, i);
    scim_list_end(c, total, page.start, rows);
    return 0;
}

static int get(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    return answer(c, scim, c->var[0], err);
}

/* === Writing === */

/* The user as the rules take it. */
static int
person_of(struct call *c, const json_t *user, struct rk_scim_person *out, struct rk_err *err)
{
    struct rk_buf text;
    struct scim_user view;
    int r = scim_user_view(user, c->arena, &view, err);

    if (r < 0)
        return r;
    rk_buf_init(&text, 1 << 20);
    (void)json_dump_callback(user, dump_bytes, &text, JSON_COMPACT);
    *out = (struct rk_scim_person){
        .user_name = view.user_name,
        .external_id = view.external_id,
        .name = view.name,
        .email = view.email,
        .email_keys = view.email_keys,
        .email_keys_n = view.email_keys_n,
        .active = view.active,
        .resource = rk_str(rk_arena_strn(c->arena, rk_buf_str(&text))),
    };
    rk_buf_done(&text);
    return 0;
}

static int create(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = NULL;
    rk_auto(json_decref) json_t *body = NULL;
    rk_auto(json_decref) json_t *user = NULL;
    struct rk_scim_person person;
    char id[RK_UUID_LEN + 1];
    int r = scim_json_parse(c->body, &body, err);

    if (r == 0)
        r = scim_user_read(body, &user, err);
    if (r < 0)
        return r;
    if (!json_object_get(user, "active"))
        (void)json_object_set_new(user, "active", json_true());
    r = person_of(c, user, &person, err);
    if (r == 0)
        r = rk_scim_begin(c->pg, scim, &sc, err);
    if (r == 0)
        r = rk_scim_user_create(sc, &person, id, err);
    if (r == 0)
        r = answer(c, scim, id, err);
    if (r == 0)
        r = rk_scim_commit(&sc, &c->bell, err);
    if (r == 0)
        scim_created(c, "User", id);
    return r;
}

/* What the user is now; the account is held, so nobody changes it meanwhile. */
static int current(struct call *c, const struct rk_scim *scim, json_t **out, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r = rk_pg_run(c->pg, &resource_stmt, &res, err, RK_P_INT(scim->id), RK_P_C(c->var[0]));

    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0)
        return rk_fail(err, RK_NOT_FOUND, "user %.64s not found", c->var[0]);
    *out = load(rk_pg_str(res, 0, 0));
    return 0;
}

static int save(struct call *c,
                const struct rk_scim *scim,
                struct rk_scim_change **sc,
                const json_t *user,
                struct rk_err *err)
{
    struct rk_scim_person person;
    int r = person_of(c, user, &person, err);

    if (r == 0)
        r = rk_scim_user_update(*sc, c->var[0], &person, err);
    if (r == 0)
        r = answer(c, scim, c->var[0], err);
    return r < 0 ? r : rk_scim_commit(sc, &c->bell, err);
}

/* What PUT does not name goes, except for what would give or take access by leaving it out. */
static int replace(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    static const char *const kept[] = { "active", "externalId" };
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = NULL;
    rk_auto(json_decref) json_t *body = NULL;
    rk_auto(json_decref) json_t *user = NULL;
    rk_auto(json_decref) json_t *was = NULL;
    int r = scim_json_parse(c->body, &body, err);

    if (r == 0)
        r = scim_user_read(body, &user, err);
    if (r == 0)
        r = rk_scim_begin(c->pg, scim, &sc, err);
    if (r == 0)
        r = current(c, scim, &was, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < RK_COUNT(kept); i++)
        if (!json_object_get(user, kept[i]) && json_object_get(was, kept[i]))
            (void)json_object_set(user, kept[i], json_object_get(was, kept[i]));
    return save(c, scim, &sc, user, err);
}

static int change(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = NULL;
    rk_auto(json_decref) json_t *body = NULL;
    rk_auto(json_decref) json_t *user = NULL;
    struct scim_op *ops;
    size_t n;
    int r = scim_json_parse(c->body, &body, err);

    if (r == 0)
        r = scim_patch_read(body, c->arena, &ops, &n, err);
    if (r == 0)
        r = rk_scim_begin(c->pg, scim, &sc, err);
    if (r == 0)
        r = current(c, scim, &user, err);
    if (r == 0)
        r = scim_user_patch(user, ops, n, err);
    return r < 0 ? r : save(c, scim, &sc, user, err);
}

static int remove_user(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    rk_auto(rk_scim_abort) struct rk_scim_change *sc = NULL;
    int r = rk_scim_begin(c->pg, scim, &sc, err);

    if (r == 0)
        r = rk_scim_user_delete(sc, c->var[0], err);
    if (r == 0)
        r = rk_scim_commit(&sc, &c->bell, err);
    c->status = 204;
    return r;
}

int scim_user_list(struct call *c, struct rk_err *err)
{
    return scim_serve(c, list, err);
}

int scim_user_get(struct call *c, struct rk_err *err)
{
    return scim_serve(c, get, err);
}

int scim_user_create(struct call *c, struct rk_err *err)
{
    return scim_serve(c, create, err);
}

int scim_user_replace(struct call *c, struct rk_err *err)
{
    return scim_serve(c, replace, err);
}

int scim_user_change(struct call *c, struct rk_err *err)
{
    return scim_serve(c, change, err);
}

int scim_user_delete(struct call *c, struct rk_err *err)
{
    return scim_serve(c, remove_user, err);
}
