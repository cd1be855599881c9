/*
 * /api/events/audit and its alias /api/events: the audit trail, newest first. As it is it holds the
 * last 10,000 events; with filters or pages it goes back to the first one, and says what each event
 * has changed.
 */

#include <jansson.h>

#include "libcommon/account/rules/settings.h"
#include "libcommon/base/clock.h"
#include "services/dashboard-api/api/activity.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"

/* Of repeated joins of one user only the newest is shown. People who are gone keep their names. */
#define COLUMNS                                                                                    \
    "SELECT e.id, e.at, e.code, e.initiator_id, coalesce(i.name, di.name, ''), "                   \
    "coalesce(i.email, di.email, ''), e.target_id, e.meta::text, coalesce(t.id, dt.id) IS NOT "    \
    "NULL, coalesce(t.email, dt.email, ''), coalesce(t.name, dt.name, ''), e.changes::text"
#define SOURCE                                                                                     \
    " FROM event e LEFT JOIN users i ON i.id = e.initiator_id LEFT JOIN users t ON t.id = "        \
    "e.target_id LEFT JOIN departed_user di ON di.id = e.initiator_id LEFT JOIN departed_user dt " \
    "ON dt.id = e.target_id WHERE e.account_id = $1 AND NOT (e.code = 'user.join' AND EXISTS "     \
    "(SELECT 1 FROM event n WHERE n.account_id = e.account_id AND n.code = 'user.join' AND "       \
    "n.target_id = e.target_id AND n.id > e.id))"
#define FILTERS                                                                                    \
    " AND ($2::text[] IS NULL OR e.code = ANY ($2::text[])) AND ($3::text[] IS NULL OR e.code = "  \
    "ANY ($3::text[])) AND ($4::text IS NULL OR e.initiator_id = $4) AND ($5::text IS NULL OR "    \
    "e.target_id = $5) AND ($6::timestamptz IS NULL OR e.at >= $6::timestamptz) AND "              \
    "($7::timestamptz IS NULL OR e.at <= $7::timestamptz) AND ($8::text IS NULL OR "               \
    "position(lower($8) IN lower(concat_ws(E'\\n', e.code, e.initiator_id, e.target_id, i.name, "  \
    "i.email, t.name, t.email, di.name, di.email, dt.name, dt.email, e.meta::text))) > 0)"

static const struct rk_pg_stmt list_stmt = { "event_list",
                                             COLUMNS SOURCE " ORDER BY e.id DESC LIMIT 10000" };
static const struct rk_pg_stmt newest_stmt = { "event_newest", COLUMNS SOURCE FILTERS
                                               " ORDER BY e.id DESC LIMIT $9 OFFSET $10" };
static const struct rk_pg_stmt oldest_stmt = { "event_oldest", COLUMNS SOURCE FILTERS
                                               " ORDER BY e.id LIMIT $9 OFFSET $10" };
static const struct rk_pg_stmt count_stmt = { "event_count", "SELECT count(*)" SOURCE FILTERS };
enum {
    ID,
    AT,
    CODE,
    INITIATOR,
    INITIATOR_NAME,
    INITIATOR_EMAIL,
    TARGET,
    META,
    TARGET_IS_USER,
    TARGET_EMAIL,
    TARGET_NAME,
    CHANGES
};

/* Every value as text: lists as [a b], absent ones as <nil>. */
static void print_value(struct rk_buf *out, const json_t *v)
{
    size_t i;
    json_t *item;

    switch (json_typeof(v)) {
    case JSON_STRING:
        rk_buf_put_str(out, rk_strn(json_string_value(v), json_string_length(v)));
        break;
    case JSON_INTEGER:
        rk_buf_printf(out, "%lld", (long long)json_integer_value(v));
        break;
    case JSON_REAL:
        rk_buf_printf(out, "%g", json_real_value(v));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        rk_buf_put_c(out, json_is_true(v) ? "true" : "false");
        break;
    case JSON_ARRAY:
        rk_buf_put_c(out, "[");
        json_array_foreach(v, i, item)
        {
            if (i > 0)
                rk_buf_put_c(out, " ");
            print_value(out, item);
        }
        rk_buf_put_c(out, "]");
        break;
    case JSON_OBJECT:
        rk_buf_put_c(out, "map[]");
        break;
    case JSON_NULL:
        rk_buf_put_c(out, "<nil>");
        break;
    }
}

static void
write_meta(struct rk_json *j, const struct rk_pg_result *res, int row, struct rk_buf *scratch)
{
    rk_auto(json_decref) json_t *meta = json_loads(rk_pg_str(res, row, META).p, 0, NULL);

    rk_json_object(j, "meta");
    for (void *it = json_object_iter(meta); it; it = json_object_iter_next(meta, it)) {
        rk_buf_clear(scratch);
        print_value(scratch, json_object_iter_value(it));
        rk_json_str(j, json_object_iter_key(it), rk_buf_str(scratch));
    }
    if (rk_pg_bool(res, row, TARGET_IS_USER)) {
        if (!json_object_get(meta, "email"))
            rk_json_str(j, "email", rk_pg_str(res, row, TARGET_EMAIL));
        if (!json_object_get(meta, "username"))
            rk_json_str(j, "username", rk_pg_str(res, row, TARGET_NAME));
    }
    rk_json_object_end(j);
}

static void write_event(struct rk_json *j,
                        const struct rk_pg_result *res,
                        int row,
                        bool with_changes,
                        struct rk_buf *scratch)
{
    char id[24];

    snprintf(id, sizeof(id), "%lld", (long long)rk_pg_int(res, row, ID));
    rk_json_object(j, NULL);
    rk_json_cstr(j, "id", id);
    rk_json_time(j, "timestamp", rk_pg_time(res, row, AT));
    rk_json_cstr(j, "activity", activity_label(rk_pg_str(res, row, CODE).p));
    rk_json_str(j, "activity_code", rk_pg_str(res, row, CODE));
    rk_json_str(j, "initiator_id", rk_pg_str(res, row, INITIATOR));
    rk_json_str(j, "initiator_name", rk_pg_str(res, row, INITIATOR_NAME));
    rk_json_str(j, "initiator_email", rk_pg_str(res, row, INITIATOR_EMAIL));
    rk_json_str(j, "target_id", rk_pg_str(res, row, TARGET));
    write_meta(j, res, row, scratch);
    if (with_changes)
        rk_json_raw(j, "changes",
                    rk_pg_null(res, row, CHANGES) ? RK_STR("{}") : rk_pg_str(res, row, CHANGES));
    rk_json_object_end(j);
}

static void write_events(struct call *c, const struct rk_pg_result *res, bool with_changes)
{
    rk_auto(rk_buf_done) struct rk_buf scratch = { 0 };

    rk_buf_init(&scratch, RK_META_MAX);
    rk_json_array(&c->json, NULL);
    for (int i = 0; i < rk_pg_rows(res); i++)
        write_event(&c->json, res, i, with_changes, &scratch);
    rk_json_array_end(&c->json);
}

/* What is asked for; an empty value is no filter. Strings live in the arena. */
struct filter {
    bool any;
    struct rk_str *codes, *kind_codes;
    size_t codes_n, kind_codes_n;
    const char *initiator, *target, *q;
    int64_t from_us, to_us;
};

static const char *parameter(struct call *c, struct filter *f, const char *name)
{
    const char *v = call_query(c, name);

    if (!v || v[0] == '\0')
        return NULL;
    f->any = true;
    return v;
}

static int
read_time(struct call *c, struct filter *f, const char *name, int64_t *out, struct rk_err *err)
{
    const char *v = parameter(c, f, name);

    *out = RK_TIME_UNSET;
    if (v && !rk_time_parse(rk_str(v), out))
        return rk_fail(err, RK_INVALID, "%s must be a time as in 2006-01-02T15:04:05Z", name);
    return 0;
}

static int read_codes(struct call *c, struct filter *f, struct rk_err *err)
{
    const char *codes = parameter(c, f, "activity"), *kind = parameter(c, f, "kind");
    struct rk_str rest = rk_str(codes), code;

    if (codes)
        f->codes = rk_arena_alloc(c->arena, (strlen(codes) + 1) * sizeof(*f->codes));
    while (codes && rk_str_next(&rest, ',', &code)) {
        if (!activity_known(code))
            return rk_fail(err, RK_INVALID, "unknown activity code %.*s", RK_STR_FMT(code));
        f->codes[f->codes_n++] = code;
    }
    if (!kind)
        return 0;
    f->kind_codes_n = activity_codes_of(rk_str(kind), c->arena, &f->kind_codes);
    return f->kind_codes_n > 0 ? 0 : rk_fail(err, RK_INVALID, "unknown kind %s", kind);
}

static int read_filter(struct call *c, struct filter *f, struct rk_err *err)
{
    int r;

    f->initiator = parameter(c, f, "initiator");
    f->target = parameter(c, f, "target");
    r = read_codes(c, f, err);
    if (r == 0)
        r = read_time(c, f, "from", &f->from_us, err);
    if (r == 0)
        r = read_time(c, f, "to", &f->to_us, err);
    if (r == 0)
        r = call_page(c, err);
    if (r < 0)
        return r;
    f->q = c->page.q[0] != '\0' ? c->page.q : NULL;
    f->any |= c->page.asked;
    if (c->page.sort_n > 1 ||
        (c->page.sort_n == 1 && !rk_str_eq(c->page.sort[0].field, RK_STR("timestamp"))))
        return rk_fail(err, RK_INVALID, "events are sorted by timestamp or -timestamp");
    if (c->page.per == 0)
        c->page.per = PAGE_DEFAULT;
    return 0;
}

/* A part of the whole trail, chosen by Postgres. */
static int list_part(struct call *c, const struct filter *f, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *count = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    const struct page *p = &c->page;
    bool oldest_first = p->sort_n == 1 && !p->sort[0].down;
    const struct rk_pg_param params[] = {
        RK_P_C(c->actor.account_id),
        f->codes ? RK_P_ARRAY(f->codes, f->codes_n) : RK_P_NULL,
        f->kind_codes ? RK_P_ARRAY(f->kind_codes, f->kind_codes_n) : RK_P_NULL,
        RK_P_C(f->initiator),
        RK_P_C(f->target),
        RK_P_TIME(f->from_us),
        RK_P_TIME(f->to_us),
        RK_P_C(f->q),
        RK_P_INT((int64_t)p->per),
        RK_P_INT((int64_t)((p->page - 1) * p->per)),
    };
    int r;

    r = rk_pg_exec(c->pg, &count_stmt, params, RK_COUNT(params) - 2, &count, err);
    if (r < 0)
        return r;
    r = rk_pg_exec(c->pg, oldest_first ? &oldest_stmt : &newest_stmt, params, RK_COUNT(params),
                   &res, err);
    if (r < 0)
        return r;
    write_events(c, res, true);
    c->total = (uint64_t)rk_pg_int(count, 0, 0);
    c->paged = true;
    return 0;
}

int event_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    struct filter f = { .any = false };
    int r;

    r = read_filter(c, &f, err);
    if (r < 0)
        return r;
    if (f.any)
        return list_part(c, &f, err);
    r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id));
    if (r < 0)
        return r;
    write_events(c, res, false);
    return 0;
}
