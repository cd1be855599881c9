/* See group.h. */

#include "services/dashboard-api/scim/group.h"

#include "services/dashboard-api/scim/fault.h"
#include "services/dashboard-api/scim/json.h"

/* One member: an object with a value, or the value alone. */
static int read_member(const json_t *from, struct scim_step *step, struct rk_err *err)
{
    const json_t *value = json_is_object(from) ? scim_json_get(from, "value") : from;
    const char *type = json_is_object(from) ? json_string_value(scim_json_get(from, "type")) : NULL;

    if (!json_is_string(value) || json_string_length(value) == 0)
        return scim_fail(err, SCIM_INVALID_VALUE, "a member has no value");
    if (json_string_length(value) > SCIM_TEXT_MAX)
        return scim_fail(err, SCIM_INVALID_VALUE, "a member's value is longer than %d bytes",
                         SCIM_TEXT_MAX);
    if (type && rk_str_ieq(rk_str(type), RK_STR("Group")))
        step->nested++;
    else
        step->ids[step->ids_n++] = rk_str(json_string_value(value));
    return 0;
}

static int
read_members(const json_t *value, struct rk_arena *a, struct scim_step *step, struct rk_err *err)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    int r = 0;

    step->ids = rk_arena_alloc(a, (n + 1) * sizeof(*step->ids));
    if (scim_json_empty(value))
        return 0;
    if (!json_is_array(value))
        return read_member(value, step, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = read_member(json_array_get(value, i), step, err);
    return r;
}

static int read_text(const json_t *value, bool required, struct scim_step *step, struct rk_err *err)
{
    const char *what = required ? "displayName" : "externalId";

    value = scim_json_unwrap(value);
    step->text = "";
    if (scim_json_empty(value))
        return required ? scim_fail(err, SCIM_INVALID_VALUE, "%s is required", what) : 0;
    if (!json_is_string(value))
        return scim_fail(err, SCIM_INVALID_VALUE, "%s is not a string", what);
    if (json_string_length(value) > (required ? SCIM_NAME_MAX : SCIM_TEXT_MAX))
        return scim_fail(err, SCIM_INVALID_VALUE, "%s is longer than %d bytes", what,
                         required ? SCIM_NAME_MAX : SCIM_TEXT_MAX);
    step->text = json_string_value(value);
    return 0;
}

/* members[value eq "x"]: the members that are meant. */
static int filtered(const struct scim_filter *f,
                    struct rk_arena *a,
                    struct scim_step *step,
                    struct rk_err *err)
{
    struct scim_term terms[SCIM_TERMS_MAX];
    struct rk_str id = { NULL, 0 };
    bool nobody = false;
    size_t n;
    int r = scim_filter_terms(f, terms, &n, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        if (rk_str_ieq(terms[i].name, RK_STR("value"))) {
            nobody |= id.p && !rk_str_eq(id, terms[i].value);
            id = terms[i].value;
        } else if (rk_str_ieq(terms[i].name, RK_STR("type"))) {
            nobody |= !rk_str_ieq(terms[i].value, RK_STR("User"));
        } else {
            return scim_fail(err, SCIM_INVALID_FILTER, "members are found by value");
        }
    }
    if (!id.p)
        return scim_fail(err, SCIM_INVALID_FILTER, "members are found by value");
    step->ids = rk_arena_alloc(a, sizeof(*step->ids));
    step->ids[0] = id;
    step->ids_n = nobody ? 0 : 1;
    return 0;
}

static int patch_members(const struct scim_op *op,
                         struct rk_arena *a,
                         struct scim_step *step,
                         struct rk_err *err)
{
    if (op->path.filter) {
        if (op->kind != SCIM_REMOVE || op->path.attr.sub.n > 0)
            return scim_fail(err, SCIM_MUTABILITY,
                             "a member can be added and removed, not changed");
        step->kind = SCIM_STEP_REMOVE;
        return filtered(op->path.filter, a, step, err);
    }
    if (op->path.attr.sub.n > 0)
        return scim_fail(err, SCIM_MUTABILITY, "a member can be added and removed, not changed");
    /* Without a value all are removed; with a list these, and no others. */
    step->kind = op->kind == SCIM_ADD                                     ? SCIM_STEP_ADD
                 : op->kind == SCIM_REMOVE && !scim_json_empty(op->value) ? SCIM_STEP_REMOVE
                                                                          : SCIM_STEP_REPLACE;
    return read_members(op->value, a, step, err);
}

/* *out_any = it does something. */
static int read_op(const struct scim_op *op,
                   struct rk_arena *a,
                   struct scim_step *step,
                   bool *out_any,
                   struct rk_err *err)
{
    const struct scim_path_attr *path = &op->path.attr;
    bool name = rk_str_ieq(path->name, RK_STR("displayName"));

    *out_any = true;
    *step = (struct scim_step){ .text = NULL };
    if (!scim_path_foreign(path, RK_STR(SCIM_GROUP_URN))) {
        if (rk_str_ieq(path->name, RK_STR("members")))
            return patch_members(op, a, step, err);
        if (name || rk_str_ieq(path->name, RK_STR("externalId"))) {
            if (op->path.filter || path->sub.n > 0)
                return scim_fail(err, SCIM_INVALID_PATH, "%.*s has no parts",
                                 RK_STR_FMT(path->name));
            if (op->kind == SCIM_REMOVE && name)
                return scim_fail(err, SCIM_MUTABILITY, "displayName can't be removed");
            step->kind = name ? SCIM_STEP_NAME : SCIM_STEP_EXTERNAL_ID;
            return read_text(op->kind == SCIM_REMOVE ? NULL : op->value, name, step, err);
        }
        if (rk_str_ieq(path->name, RK_STR("id")) || rk_str_ieq(path->name, RK_STR("meta")) ||
            rk_str_ieq(path->name, RK_STR("schemas")))
            return scim_fail(err, SCIM_MUTABILITY, "%.*s can't be changed", RK_STR_FMT(path->name));
    }
    *out_any = false;
    return 0;
}

int scim_group_patch(const struct scim_op *ops,
                     size_t n,
                     struct rk_arena *a,
                     struct scim_step **out,
                     size_t *out_n,
                     struct rk_err *err)
{
    int r = 0;

    *out = rk_arena_alloc(a, (n + 1) * sizeof(**out));
    *out_n = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        bool any;

        r = read_op(&ops[i], a, *out + *out_n, &any, err);
        *out_n += r == 0 && any;
    }
    return r;
}

int scim_group_read(const json_t *body,
                    struct rk_arena *a,
                    struct scim_step **out,
                    size_t *out_n,
                    struct rk_err *err)
{
    const json_t *members = scim_json_get(body, "members");
    const json_t *external_id = scim_json_get(body, "externalId");
    struct scim_step *steps = rk_arena_alloc(a, 3 * sizeof(*steps));
    size_t n = 0;
    int r;

    steps[n].kind = SCIM_STEP_NAME;
    r = read_text(scim_json_get(body, "displayName"), true, &steps[n++], err);
    if (r == 0 && external_id) {
        steps[n].kind = SCIM_STEP_EXTERNAL_ID;
        r = read_text(external_id, false, &steps[n++], err);
    }
    if (r == 0 && members) {
        steps[n].kind = SCIM_STEP_REPLACE;
        r = read_members(members, a, &steps[n++], err);
    }
    *out = steps;
    *out_n = n;
    return r;
}
