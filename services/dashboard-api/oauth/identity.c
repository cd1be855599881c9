/* See identity.h. */

#include "services/dashboard-api/oauth/identity.h"

#include "libcommon/base/jansson.h"
#include "libcommon/base/json.h"

void identity_write(const struct identity *id, struct rk_buf *out)
{
    struct rk_json j;

    rk_json_init(&j, out);
    rk_json_object(&j, NULL);
    rk_json_cstr(&j, "user_id", id->user_id);
    rk_json_cstr(&j, "connector_id", id->connector_id);
    rk_json_cstr(&j, "email", id->email ? id->email : "");
    rk_json_cstr(&j, "name", id->name ? id->name : "");
    rk_json_cstr(&j, "preferred_username", id->preferred_username ? id->preferred_username : "");
    rk_json_bool(&j, "email_verified", id->email_verified);
    rk_json_array(&j, "groups");
    for (size_t i = 0; i < id->groups_n && i < IDENTITY_MAX_GROUPS; i++)
        rk_json_str(&j, NULL, id->groups[i]);
    rk_json_array_end(&j);
    rk_json_cstr(&j, "end_session_url", id->end_session_url ? id->end_session_url : "");
    rk_json_object_end(&j);
}

static bool take(const json_t *from, const char *key, struct rk_arena *arena, const char **out)
{
    const char *v = json_string_value(json_object_get(from, key));

    *out = v ? rk_arena_strdup(arena, v) : NULL;
    return v != NULL;
}

int identity_read(struct rk_str json,
                  struct rk_arena *arena,
                  struct identity *out,
                  struct rk_err *err)
{
    rk_auto(json_decref) json_t *all = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *groups = json_object_get(all, "groups"), *verified;
    struct identity id = { 0 };
    struct rk_str *list;

    verified = json_object_get(all, "email_verified");
    if (!take(all, "user_id", arena, &id.user_id) ||
        !take(all, "connector_id", arena, &id.connector_id) ||
        !take(all, "email", arena, &id.email) || !take(all, "name", arena, &id.name) ||
        !take(all, "preferred_username", arena, &id.preferred_username) ||
        !take(all, "end_session_url", arena, &id.end_session_url) || !json_is_boolean(verified) ||
        !json_is_array(groups) || json_array_size(groups) > IDENTITY_MAX_GROUPS)
        return rk_fail(err, RK_INTERNAL, "a stored identity is unreadable");
    id.email_verified = json_is_true(verified);
    id.groups_n = json_array_size(groups);
    list = rk_arena_alloc(arena, (id.groups_n + 1) * sizeof(*list));
    for (size_t i = 0; i < id.groups_n; i++) {
        const json_t *one = json_array_get(groups, i);

        if (!json_is_string(one))
            return rk_fail(err, RK_INTERNAL, "a stored identity is unreadable");
        list[i] = rk_str(rk_arena_strdup(arena, json_string_value(one)));
    }
    id.groups = list;
    *out = id;
    return 0;
}
