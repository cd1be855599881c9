/* See patch.h. */

#include "services/dashboard-api/scim/patch.h"

#include "services/dashboard-api/scim/fault.h"
#include "services/dashboard-api/scim/json.h"

#define PATCH_URN "urn:ietf:params:scim:api:messages:2.0:PatchOp"

/* Not a thing to be changed by who sends the whole resource back. */
static bool is_echo(const struct scim_path_attr *attr)
{
    static const char *const names[] = { "id", "schemas", "meta", "groups" };

    for (size_t i = 0; i < RK_COUNT(names); i++)
        if (rk_str_ieq(attr->name, rk_str(names[i])))
            return true;
    return false;
}

static int read_kind(const json_t *op, enum scim_op_kind *out, struct rk_err *err)
{
    static const char *const kinds[] = { "add", "replace", "remove" };
    const char *name = json_string_value(scim_json_get(op, "op"));

    for (size_t i = 0; name && i < RK_COUNT(kinds); i++) {
        if (rk_str_ieq(rk_str(name), rk_str(kinds[i]))) {
            *out = (enum scim_op_kind)i;
            return 0;
        }
    }
    return scim_fail(err, SCIM_INVALID_SYNTAX, "an operation is none of add, replace, remove");
}

struct ops {
    struct rk_arena *arena;
    struct scim_op *v;
    size_t n, max;
};

static int put(struct ops *x, const struct scim_op *op, struct rk_err *err)
{
    if (x->n == x->max)
        return scim_fail(err, SCIM_TOO_MANY, "more than %d operations", SCIM_OPS_MAX);
    x->v[x->n++] = *op;
    return 0;
}

/* Each member of the value is an operation of its own; its name is the path. */
static int
read_members(struct ops *x, enum scim_op_kind kind, const json_t *value, struct rk_err *err)
{
    json_t *object = (json_t *)(uintptr_t)value; /* iterating does not change it */
    int r = 0;

    if (!json_is_object(value))
        return scim_fail(err, SCIM_INVALID_SYNTAX, "an operation without path needs an object");
    for (void *it = json_object_iter(object); r == 0 && it;
         it = json_object_iter_next(object, it)) {
        struct scim_op op = { .kind = kind, .value = json_object_iter_value(it) };

        r = scim_path_parse(rk_str(json_object_iter_key(it)), x->arena, &op.path, err);
        if (r == 0 && !is_echo(&op.path.attr))
            r = put(x, &op, err);
    }
    return r;
}

static int read_op(struct ops *x, const json_t *from, struct rk_err *err)
{
    const json_t *path = scim_json_get(from, "path");
    struct scim_op op = { .value = scim_json_get(from, "value") };
    int r = json_is_object(from) ? read_kind(from, &op.kind, err)
                                 : scim_fail(err, SCIM_INVALID_SYNTAX, "an operation is no object");

    if (r < 0)
        return r;
    if (path && !json_is_string(path) && !json_is_null(path))
        return scim_fail(err, SCIM_INVALID_PATH, "a path is no string");
    if (op.kind != SCIM_REMOVE && !op.value)
        return scim_fail(err, SCIM_INVALID_VALUE, "an operation has no value");
    if (json_string_length(path) > 0) {
        r = scim_path_parse(rk_str(json_string_value(path)), x->arena, &op.path, err);
        return r < 0 ? r : put(x, &op, err);
    }
    if (op.kind == SCIM_REMOVE)
        return scim_fail(err, SCIM_NO_TARGET, "remove needs a path");
    return read_members(x, op.kind, op.value, err);
}

int scim_patch_read(
    const json_t *body, struct rk_arena *a, struct scim_op **out, size_t *out_n, struct rk_err *err)
{
    const json_t *schemas = scim_json_get(body, "schemas"),
                 *list = scim_json_get(body, "Operations");
    struct ops x = { .arena = a };
    bool named = json_array_size(schemas) == 0; /* some send none */
    int r = 0;

    for (size_t i = 0; i < json_array_size(schemas); i++) {
        const char *urn = json_string_value(json_array_get(schemas, i));

        named |= urn && rk_str_ieq(rk_str(urn), RK_STR(PATCH_URN));
    }
    if (!named)
        return scim_fail(err, SCIM_INVALID_SYNTAX, "the request is no PatchOp");
    if (json_array_size(list) == 0)
        return scim_fail(err, SCIM_INVALID_SYNTAX, "the request has no operations");
    if (json_array_size(list) > SCIM_OPS_MAX)
        return scim_fail(err, SCIM_TOO_MANY, "more than %d operations", SCIM_OPS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++)
        x.max += 1 + json_object_size(scim_json_get(json_array_get(list, i), "value"));
    x.max = x.max < SCIM_OPS_MAX ? x.max : SCIM_OPS_MAX;
    x.v = rk_arena_alloc(a, x.max * sizeof(*x.v));
    for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
        r = read_op(&x, json_array_get(list, i), err);
    *out = x.v;
    *out_n = x.n;
    return r;
}

bool scim_path_foreign(const struct scim_path_attr *attr, struct rk_str urn)
{
    return attr->urn.n > 0 && !rk_str_ieq(attr->urn, urn);
}
