/* See body.h. */

#include "services/dashboard-api/json/body.h"

/* Whether some text in it is longer than anything here has to be. */
static bool has_long_text(const json_t *v)
{
    json_t *any = (json_t *)(uintptr_t)v; /* walking does not change it */

    if (json_is_string(v))
        return json_string_length(v) > BODY_MAX_TEXT;
    for (size_t i = 0; i < json_array_size(v); i++)
        if (has_long_text(json_array_get(v, i)))
            return true;
    for (void *it = json_object_iter(any); it; it = json_object_iter_next(any, it))
        if (has_long_text(json_object_iter_value(it)))
            return true;
    return false;
}

int body_parse(struct rk_str text, struct rk_arena *arena, struct body *out, struct rk_err *err)
{
    json_error_t why;
    json_t *root = json_loadb(text.p ? text.p : "", text.n, JSON_DISABLE_EOF_CHECK, &why);

    if (!json_is_object(root)) {
        json_decref(root);
        return rk_fail(err, RK_BAD_REQUEST, BODY_UNREADABLE);
    }
    if (has_long_text(root)) {
        json_decref(root);
        return rk_fail(err, RK_INVALID, "a text in the request is longer than %d bytes",
                       BODY_MAX_TEXT);
    }
    *out = (struct body){ .root = root, .arena = arena };
    return 0;
}

void body_done(struct body *b)
{
    json_decref(b->root);
    b->root = NULL;
}

int body_check(const struct body *b, struct rk_err *err)
{
    return b->bad ? rk_fail(err, RK_BAD_REQUEST, BODY_UNREADABLE) : 0;
}

const json_t *body_get(const json_t *object, const char *name)
{
    json_t *o = (json_t *)(uintptr_t)object; /* iterating does not change it */
    json_t *found = NULL;

    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it))
        if (rk_str_ieq(rk_str(json_object_iter_key(it)), rk_str(name)) &&
            !json_is_null(json_object_iter_value(it)))
            found = json_object_iter_value(it);
    return found;
}

const char *body_str_opt(struct body *b, const json_t *object, const char *name)
{
    const json_t *v = body_get(object, name);

    if (v && !json_is_string(v))
        b->bad = true;
    return json_string_value(v);
}

const char *body_str(struct body *b, const json_t *object, const char *name)
{
    const char *s = body_str_opt(b, object, name);

    return s ? s : "";
}

bool body_bool(struct body *b, const json_t *object, const char *name)
{
    const json_t *v = body_get(object, name);

    if (v && !json_is_boolean(v))
        b->bad = true;
    return json_is_true(v);
}

int64_t body_int(struct body *b, const json_t *object, const char *name)
{
    const json_t *v = body_get(object, name);

    if (v && !json_is_integer(v))
        b->bad = true;
    return json_integer_value(v);
}

const json_t *body_object(struct body *b, const json_t *object, const char *name)
{
    const json_t *v = body_get(object, name);

    if (v && !json_is_object(v)) {
        b->bad = true;
        return NULL;
    }
    return v;
}

const json_t *body_array(struct body *b, const json_t *object, const char *name)
{
    const json_t *v = body_get(object, name);

    if (v && !json_is_array(v)) {
        b->bad = true;
        return NULL;
    }
    return v;
}

struct rk_str *body_strs_of(struct body *b, const json_t *array, size_t *out_n)
{
    size_t n = json_array_size(array);
    struct rk_str *out;

    *out_n = 0;
    if (n == 0)
        return NULL;
    out = rk_arena_alloc(b->arena, n * sizeof(*out));
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(array, i);

        /* In a list of strings a null is the empty string. */
        if (!json_is_string(item) && !json_is_null(item))
            b->bad = true;
        out[i] = json_is_string(item) ? rk_strn(json_string_value(item), json_string_length(item))
                                      : RK_STR("");
    }
    *out_n = n;
    return out;
}

struct rk_str *
body_strs(struct body *b, const json_t *object, const char *name, size_t *out_n, bool *out_present)
{
    const json_t *array = body_array(b, object, name);

    if (out_present)
        *out_present = array != NULL;
    return body_strs_of(b, array, out_n);
}
