/* See json.h. */

#include "services/dashboard-api/scim/json.h"

#include "services/dashboard-api/scim/fault.h"

/* Counts outside of strings; says nothing of whether it is JSON. */
static bool is_bounded(struct rk_str text)
{
    size_t depth = 0, containers = 0, values = 0;
    bool quoted = false;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
            continue;
        }
        if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            depth++;
            containers++;
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
        } else if (c == ',') {
            values++;
        }
        if (depth > SCIM_MAX_DEPTH || containers > SCIM_MAX_CONTAINERS || values > SCIM_MAX_VALUES)
            return false;
    }
    return true;
}

/* Two names that differ in case alone. Objects are small, or they are refused. */
#define MAX_MEMBERS 200
static bool is_ambiguous(json_t *v)
{
    if (json_is_object(v) && json_object_size(v) > MAX_MEMBERS)
        return true;
    for (void *it = json_object_iter(v); it; it = json_object_iter_next(v, it)) {
        struct rk_str name = rk_str(json_object_iter_key(it));

        for (void *o = json_object_iter_next(v, it); o; o = json_object_iter_next(v, o))
            if (rk_str_ieq(name, rk_str(json_object_iter_key(o))))
                return true;
        if (is_ambiguous(json_object_iter_value(it)))
            return true;
    }
    for (size_t i = 0; i < json_array_size(v); i++)
        if (is_ambiguous(json_array_get(v, i)))
            return true;
    return false;
}

int scim_json_parse(struct rk_str text, json_t **out, struct rk_err *err)
{
    rk_auto(json_decref) json_t *root = NULL;
    json_error_t why;

    if (!is_bounded(text))
        return scim_fail(err, SCIM_TOO_MANY,
                         "the request is nested too deep or has too many values");
    root = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        return scim_fail(err, SCIM_INVALID_SYNTAX, "the request is not JSON: line %d: %.100s",
                         why.line, why.text);
    if (!json_is_object(root))
        return scim_fail(err, SCIM_INVALID_SYNTAX, "the request is not an object");
    if (is_ambiguous(root))
        return scim_fail(err, SCIM_INVALID_SYNTAX,
                         "an object of the request has a name twice, or too many");
    *out = rk_steal(root);
    return 0;
}

json_t *scim_json_get(const json_t *object, const char *name)
{
    json_t *o = (json_t *)(uintptr_t)object; /* iterating does not change it */

    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it))
        if (rk_str_ieq(rk_str(json_object_iter_key(it)), rk_str(name)))
            return json_object_iter_value(it);
    return NULL;
}

bool scim_json_empty(const json_t *v)
{
    return !v || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0);
}

const json_t *scim_json_unwrap(const json_t *v)
{
    if (json_is_array(v) && json_array_size(v) == 1)
        v = json_array_get(v, 0);
    return json_is_object(v) && scim_json_get(v, "value") ? scim_json_get(v, "value") : v;
}
