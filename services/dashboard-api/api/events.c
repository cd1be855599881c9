/* /api/events/audit and its alias /api/events: the audit trail, newest first. */

#include <jansson.h>

#include "services/dashboard-api/api/activity.h"
#include "services/dashboard-api/api/api.h"
#include "services/dashboard-api/api/write.h"
#include "libcommon/account/settings_rules.h"

/* Of repeated joins of one user only the newest is shown. */
static const struct rk_pg_stmt list_stmt = {
    "event_list",
    "SELECT e.id, e.at, e.code, e.initiator_id, coalesce(i.name, ''), coalesce(i.email, ''), "
    "e.target_id, e.meta::text,"
    " t.id IS NOT NULL, coalesce(t.email, ''), coalesce(t.name, '') FROM event e"
    " LEFT JOIN users i ON i.id = e.initiator_id LEFT JOIN users t ON t.id = e.target_id"
    " WHERE e.account_id = $1 AND NOT (e.code = 'user.join' AND EXISTS (SELECT 1 FROM event n "
    "WHERE n.account_id = e.account_id"
    " AND n.code = 'user.join' AND n.target_id = e.target_id AND n.id > e.id))"
    " ORDER BY e.id DESC LIMIT 10000"
};
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
    TARGET_NAME
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

int event_list(struct call *c, struct rk_err *err)
{
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    rk_auto(rk_buf_done) struct rk_buf scratch = { 0 };
    struct rk_json *j = &c->json;
    char id[24];
    int r;

    rk_buf_init(&scratch, RK_META_MAX);
    r = rk_pg_run(c->pg, &list_stmt, &res, err, RK_P_C(c->actor.account_id));
    if (r < 0)
        return r;
    rk_json_array(j, NULL);
    for (int i = 0; i < rk_pg_rows(res); i++) {
        snprintf(id, sizeof(id), "%lld", (long long)rk_pg_int(res, i, ID));
        rk_json_object(j, NULL);
        rk_json_cstr(j, "id", id);
        rk_json_time(j, "timestamp", rk_pg_time(res, i, AT));
        rk_json_cstr(j, "activity", activity_label(rk_pg_str(res, i, CODE).p));
        rk_json_str(j, "activity_code", rk_pg_str(res, i, CODE));
        rk_json_str(j, "initiator_id", rk_pg_str(res, i, INITIATOR));
        rk_json_str(j, "initiator_name", rk_pg_str(res, i, INITIATOR_NAME));
        rk_json_str(j, "initiator_email", rk_pg_str(res, i, INITIATOR_EMAIL));
        rk_json_str(j, "target_id", rk_pg_str(res, i, TARGET));
        write_meta(j, res, i, &scratch);
        rk_json_object_end(j);
    }
    rk_json_array_end(j);
    return 0;
}
