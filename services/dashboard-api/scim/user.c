/* See user.h. */

#include "services/dashboard-api/scim/user.h"

#include "services/dashboard-api/scim/fault.h"
#include "services/dashboard-api/scim/json.h"

/* === One value === */

static int to_flag(const struct scim_attribute *at, const json_t *v, bool *out, struct rk_err *err)
{
    struct rk_str text = rk_str(json_string_value(v));

    if (json_is_boolean(v))
        *out = json_is_true(v);
    else if (text.p && rk_str_ieq(text, RK_STR("true")))
        *out = true;
    else if (text.p && rk_str_ieq(text, RK_STR("false")))
        *out = false;
    else
        return scim_fail(err, SCIM_INVALID_VALUE, "%s is neither true nor false", at->name);
    return 0;
}

/* A text or flag of `object`; what is empty goes. */
static int
set_simple(json_t *object, const struct scim_attribute *at, const json_t *value, struct rk_err *err)
{
    bool flag = false;
    int r;

    if (at->type == SCIM_FLAG) {
        r = to_flag(at, value, &flag, err);
        if (r == 0)
            (void)json_object_set_new(object, at->name, json_boolean(flag));
        return r;
    }
    if (scim_json_empty(value)) {
        if (at->required)
            return scim_fail(err, SCIM_INVALID_VALUE, "%s can't be empty", at->name);
        (void)json_object_del(object, at->name);
        return 0;
    }
    if (!json_is_string(value))
        return scim_fail(err, SCIM_INVALID_VALUE, "%s is not a string", at->name);
    if (json_string_length(value) > SCIM_TEXT_MAX)
        return scim_fail(err, SCIM_INVALID_VALUE, "%s is longer than %d bytes", at->name,
                         SCIM_TEXT_MAX);
    (void)json_object_set_new(object, at->name, json_string(json_string_value(value)));
    return 0;
}

/* The sub-attributes that `from` names, into `into`; others of it stay. */
static int
merge(json_t *into, const struct scim_attribute *at, const json_t *from, struct rk_err *err)
{
    int r = 0;

    for (const struct scim_attribute *sub = at->sub; r == 0 && sub->name; sub++) {
        const json_t *v = scim_json_get(from, sub->name);

        if (!v || (sub->type == SCIM_FLAG && json_is_null(v)))
            continue;
        r = set_simple(into, sub, v, err);
    }
    return r;
}

/* === Lists === */

static bool same_text(const json_t *a, const json_t *b)
{
    return json_is_string(a) && json_is_string(b) &&
           rk_str_ieq(rk_str(json_string_value(a)), rk_str(json_string_value(b)));
}

/* The element with this value, and the same type where both have one. */
static json_t *find_value(const json_t *list, const json_t *element)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *have = json_array_get(list, i);
        const json_t *a = json_object_get(have, "type"), *b = json_object_get(element, "type");

        if (same_text(json_object_get(have, "value"), json_object_get(element, "value")) &&
            (!a || !b || same_text(a, b)))
            return have;
    }
    return NULL;
}

/* At most one element is the primary one: `keep` if it says so, else the first that does. */
static void one_primary(json_t *list, const json_t *keep)
{
    bool found = keep && json_is_true(json_object_get(keep, "primary"));

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *e = json_array_get(list, i);

        if (e == keep || !json_is_true(json_object_get(e, "primary")))
            continue;
        if (found)
            (void)json_object_set_new(e, "primary", json_false());
        found = true;
    }
}

/* One that was sent: an object, or its value alone. */
static int
new_element(const struct scim_attribute *at, const json_t *from, json_t **out, struct rk_err *err)
{
    rk_auto(json_decref) json_t *element = json_object();
    int r;

    if (json_is_object(from))
        r = merge(element, at, from, err);
    else if (json_is_string(from))
        r = set_simple(element, &at->sub[0], from, err);
    else
        r = scim_fail(err, SCIM_INVALID_VALUE, "an element of %s is not an object", at->name);
    if (r == 0)
        *out = rk_steal(element);
    return r;
}

static int
append(json_t *list, const struct scim_attribute *at, json_t *element, struct rk_err *err)
{
    if (json_array_size(list) >= SCIM_LIST_MAX) {
        json_decref(element);
        return scim_fail(err, SCIM_INVALID_VALUE, "%s has more than %d elements", at->name,
                         SCIM_LIST_MAX);
    }
    (void)json_array_append_new(list, element);
    return 0;
}

/* Joins one element to the list, or to the element of the same value. */
static int
unite(json_t *list, const struct scim_attribute *at, const json_t *from, struct rk_err *err)
{
    json_t *element = NULL, *have;
    int r = new_element(at, from, &element, err);

    if (r < 0)
        return r;
    if (!json_object_get(element, "value")) { /* an address that has been emptied */
        json_decref(element);
        return 0;
    }
    have = find_value(list, element);
    if (have) {
        (void)json_object_update(have, element);
        json_decref(element);
        one_primary(list, have);
        return 0;
    }
    r = append(list, at, element, err);
    if (r == 0)
        one_primary(list, element);
    return r;
}

static int
unite_all(json_t *list, const struct scim_attribute *at, const json_t *value, struct rk_err *err)
{
    int r = 0;

    if (!json_is_array(value))
        return unite(list, at, value, err);
    for (size_t i = 0; r == 0 && i < json_array_size(value); i++)
        r = unite(list, at, json_array_get(value, i), err);
    return r;
}

/* Takes away the elements of these values. */
static void subtract(json_t *list, const json_t *value)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;

    for (size_t k = 0; k < n; k++) {
        const json_t *v = json_is_array(value) ? json_array_get(value, k) : value;

        if (json_is_object(v))
            v = scim_json_get(v, "value");
        for (size_t i = json_array_size(list); i-- > 0;)
            if (same_text(json_object_get(json_array_get(list, i), "value"), v))
                (void)json_array_remove(list, i);
    }
}

static struct rk_str element_text(const void *element, struct rk_str name)
{
    const json_t *e = element, *v = NULL;
    void *it;

    for (it = json_object_iter((json_t *)(uintptr_t)e); it && !v;
         it = json_object_iter_next((json_t *)(uintptr_t)e, it))
        if (rk_str_ieq(rk_str(json_object_iter_key(it)), name))
            v = json_object_iter_value(it);
    if (json_is_boolean(v))
        return json_is_true(v) ? RK_STR("true") : RK_STR("false");
    return rk_str(json_string_value(v));
}

/* What the filter asks of an element, as an element. */
static int imagine(json_t *element,
                   const struct scim_attribute *at,
                   const struct scim_filter *f,
                   struct rk_err *err)
{
    const struct scim_attribute *sub;
    json_t *value;
    int r;

    if (f->kind == SCIM_FILTER_AND) {
        r = imagine(element, at, f->left, err);
        return r < 0 ? r : imagine(element, at, f->right, err);
    }
    sub = scim_attribute_find(at->sub, f->attr.name);
    if (!sub)
        return 0;
    value = json_stringn(f->value.p, f->value.n);
    r = set_simple(element, sub, value, err);
    json_decref(value);
    return r;
}

/* attr[filter], attr[filter].sub and attr.sub: the elements that are meant, or a new one. */
static int patch_elements(json_t *list,
                          const struct scim_attribute *at,
                          const struct scim_op *op,
                          const struct scim_attribute *sub,
                          struct rk_err *err)
{
    const struct scim_filter *f = op->path.filter;
    bool drop = op->kind == SCIM_REMOVE && (!sub || strcmp(sub->name, "value") == 0);
    bool found = false;
    int r = 0;

    for (size_t i = json_array_size(list); r == 0 && i-- > 0;) {
        json_t *e = json_array_get(list, i);

        if (f && !scim_filter_matches(f, element_text, e))
            continue;
        found = true;
        if (drop)
            (void)json_array_remove(list, i);
        else if (op->kind == SCIM_REMOVE)
            (void)json_object_del(e, sub->name);
        else
            r = sub ? set_simple(e, sub, scim_json_unwrap(op->value), err)
                    : merge(e, at, op->value, err);
        if (r == 0 && !drop)
            one_primary(list, e);
    }
    if (r < 0 || found || op->kind == SCIM_REMOVE)
        return r;
    {
        rk_auto(json_decref) json_t *element = json_object();

        r = f ? imagine(element, at, f, err) : 0;
        if (r == 0)
            r = sub ? set_simple(element, sub, scim_json_unwrap(op->value), err)
                    : merge(element, at, op->value, err);
        if (r < 0 || !json_object_get(element, "value"))
            return r;
        one_primary(list, NULL);
        r = append(list, at, json_incref(element), err);
        if (r == 0)
            one_primary(list, element);
        return r;
    }
}

/* Elements whose address has been emptied go. */
static void sweep(json_t *list)
{
    for (size_t i = json_array_size(list); i-- > 0;)
        if (!json_object_get(json_array_get(list, i), "value"))
            (void)json_array_remove(list, i);
}

static int patch_list(json_t *user,
                      const struct scim_attribute *at,
                      const struct scim_op *op,
                      const struct scim_attribute *sub,
                      struct rk_err *err)
{
    json_t *list = json_object_get(user, at->name);
    int r = 0;

    if (!list) {
        list = json_array();
        (void)json_object_set_new(user, at->name, list);
    }
    if (op->path.filter || sub) {
        if (op->kind != SCIM_REMOVE && !sub && !json_is_object(op->value))
            return scim_fail(err, SCIM_INVALID_VALUE, "the value of %s[] is not an object",
                             at->name);
        r = patch_elements(list, at, op, sub, err);
    } else if (op->kind == SCIM_REMOVE && !scim_json_empty(op->value)) {
        subtract(list, op->value);
    } else {
        if (op->kind != SCIM_ADD)
            (void)json_array_clear(list);
        if (op->kind != SCIM_REMOVE && !scim_json_empty(op->value))
            r = unite_all(list, at, op->value, err);
    }
    sweep(list);
    if (json_array_size(list) == 0)
        (void)json_object_del(user, at->name);
    return r;
}

/* === The whole === */

static int patch_complex(json_t *user,
                         const struct scim_attribute *at,
                         const struct scim_op *op,
                         const struct scim_attribute *sub,
                         struct rk_err *err)
{
    json_t *object = json_object_get(user, at->name);
    int r = 0;

    if (!object) {
        object = json_object();
        (void)json_object_set_new(user, at->name, object);
    }
    if (sub && op->kind == SCIM_REMOVE)
        (void)json_object_del(object, sub->name);
    else if (sub)
        r = set_simple(object, sub, scim_json_unwrap(op->value), err);
    else if (op->kind == SCIM_REMOVE || scim_json_empty(op->value))
        (void)json_object_clear(object);
    else if (json_is_object(op->value))
        r = merge(object, at, op->value, err);
    else
        r = scim_fail(err, SCIM_INVALID_VALUE, "%s is not an object", at->name);
    if (json_object_size(object) == 0)
        (void)json_object_del(user, at->name);
    return r;
}

static int patch_simple(json_t *user,
                        const struct scim_attribute *at,
                        const struct scim_op *op,
                        struct rk_err *err)
{
    if (op->kind != SCIM_REMOVE)
        return set_simple(user, at, scim_json_unwrap(op->value), err);
    if (at->required || at->always)
        return scim_fail(err, SCIM_MUTABILITY, "%s can't be removed", at->name);
    (void)json_object_del(user, at->name);
    return 0;
}

static int apply(json_t *user, const struct scim_op *op, struct rk_err *err)
{
    const struct scim_path_attr *path = &op->path.attr;
    const struct scim_attribute *at = scim_attribute_find(scim_user_attributes, path->name);
    const struct scim_attribute *sub = NULL;

    if (scim_path_foreign(path, RK_STR(SCIM_USER_URN)))
        return 0;
    if (rk_str_ieq(path->name, RK_STR("id")) || rk_str_ieq(path->name, RK_STR("meta")) ||
        rk_str_ieq(path->name, RK_STR("schemas")) || (at && at->read_only))
        return scim_fail(err, SCIM_MUTABILITY, "%.*s can't be changed", RK_STR_FMT(path->name));
    if (!at)
        return 0;
    if ((path->sub.n > 0 || op->path.filter) && !at->sub)
        return scim_fail(err, SCIM_INVALID_PATH, "%s has no parts", at->name);
    if (op->path.filter && !at->multi)
        return scim_fail(err, SCIM_INVALID_PATH, "%s is no list", at->name);
    if (path->sub.n > 0) {
        sub = scim_attribute_find(at->sub, path->sub);
        if (!sub)
            return 0;
    }
    if (at->multi)
        return patch_list(user, at, op, sub, err);
    return at->sub ? patch_complex(user, at, op, sub, err) : patch_simple(user, at, op, err);
}

int scim_user_patch(json_t *user, const struct scim_op *ops, size_t n, struct rk_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++)
        r = apply(user, &ops[i], err);
    return r;
}

int scim_user_read(const json_t *body, json_t **out, struct rk_err *err)
{
    rk_auto(json_decref) json_t *user = json_object();
    int r = 0;

    for (const struct scim_attribute *at = scim_user_attributes; r == 0 && at->name; at++) {
        struct scim_op op = { .kind = SCIM_REPLACE, .value = scim_json_get(body, at->name) };

        if (at->read_only || !op.value || (at->type == SCIM_FLAG && json_is_null(op.value)))
            continue;
        op.path.attr.name = rk_str(at->name);
        r = apply(user, &op, err);
    }
    if (r < 0)
        return r;
    *out = rk_steal(user);
    return 0;
}

static const char *text(const json_t *object, const char *name)
{
    const char *v = json_string_value(json_object_get(object, name));

    return v ? v : "";
}

static const char *choose_name(const json_t *user, struct rk_arena *a)
{
    const json_t *name = json_object_get(user, "name");
    const char *given = text(name, "givenName"), *family = text(name, "familyName");

    if (text(user, "displayName")[0])
        return text(user, "displayName");
    if (text(name, "formatted")[0])
        return text(name, "formatted");
    if (given[0] && family[0])
        return rk_arena_printf(a, "%s %s", given, family);
    return given[0] ? given : family[0] ? family : text(user, "userName");
}

/* The one of the work place, else the primary one, else any; else a name that looks like one. */
static const char *choose_email(const json_t *user)
{
    const json_t *list = json_object_get(user, "emails"), *best = NULL;
    const char *name = text(user, "userName");
    int rank = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        int mine = rk_str_ieq(rk_str(text(e, "type")), RK_STR("work")) ? 3
                   : json_is_true(json_object_get(e, "primary"))       ? 2
                                                                       : 1;

        if (mine > rank) {
            best = e;
            rank = mine;
        }
    }
    if (best)
        return text(best, "value");
    return strchr(name, '@') ? name : "";
}

struct rk_str scim_email_key(struct rk_arena *a, struct rk_str type, struct rk_str value)
{
    char *key = type.p ? rk_arena_printf(a, "%.*s:%.*s", RK_STR_FMT(type), RK_STR_FMT(value))
                       : rk_arena_printf(a, ":%.*s", RK_STR_FMT(value));

    for (char *p = key; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    return rk_str(key);
}

int scim_user_view(const json_t *user,
                   struct rk_arena *a,
                   struct scim_user *out,
                   struct rk_err *err)
{
    const json_t *list = json_object_get(user, "emails");

    *out = (struct scim_user){
        .user_name = text(user, "userName"),
        .external_id = text(user, "externalId"),
        .active = !json_is_false(json_object_get(user, "active")),
    };
    if (out->user_name[0] == '\0')
        return scim_fail(err, SCIM_INVALID_VALUE, "userName is required");
    out->name = choose_name(user, a);
    out->email = choose_email(user);
    out->email_keys =
        rk_arena_alloc(a, (2 * json_array_size(list) + 1) * sizeof(out->email_keys[0]));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        struct rk_str value = rk_str(text(e, "value"));

        out->email_keys[out->email_keys_n++] = scim_email_key(a, (struct rk_str){ NULL, 0 }, value);
        if (json_object_get(e, "type"))
            out->email_keys[out->email_keys_n++] =
                scim_email_key(a, rk_str(text(e, "type")), value);
    }
    return 0;
}
