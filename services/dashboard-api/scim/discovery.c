/* /ServiceProviderConfig, /ResourceTypes and /Schemas: what we are, for those who ask first. */

#include "services/dashboard-api/scim/answer.h"
#include "services/dashboard-api/scim/handlers.h"

static void write_supported(struct rk_json *j, const char *key, bool supported)
{
    rk_json_object(j, key);
    rk_json_bool(j, "supported", supported);
    rk_json_object_end(j);
}

static int config_get(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    struct rk_json *j = &c->json;

    (void)scim;
    (void)err;
    rk_json_object(j, NULL);
    rk_json_array(j, "schemas");
    rk_json_cstr(j, NULL, "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig");
    rk_json_array_end(j);
    write_supported(j, "patch", true);
    rk_json_object(j, "bulk");
    rk_json_bool(j, "supported", false);
    rk_json_int(j, "maxOperations", 0);
    rk_json_int(j, "maxPayloadSize", 0);
    rk_json_object_end(j);
    rk_json_object(j, "filter");
    rk_json_bool(j, "supported", true);
    rk_json_int(j, "maxResults", SCIM_PAGE_MAX);
    rk_json_object_end(j);
    write_supported(j, "changePassword", false);
    write_supported(j, "sort", false);
    write_supported(j, "etag", false);
    rk_json_array(j, "authenticationSchemes");
    rk_json_object(j, NULL);
    rk_json_cstr(j, "type", "oauthbearertoken");
    rk_json_cstr(j, "name", "Bearer token");
    rk_json_cstr(j, "description", "The token of the integration");
    rk_json_bool(j, "primary", true);
    rk_json_object_end(j);
    rk_json_array_end(j);
    rk_json_object(j, "meta");
    rk_json_cstr(j, "resourceType", "ServiceProviderConfig");
    rk_json_cstr(j, "location",
                 rk_arena_printf(c->arena, "%s/ServiceProviderConfig", scim_base(c)));
    rk_json_object_end(j);
    rk_json_object_end(j);
    return 0;
}

static void write_type(struct call *c, bool user)
{
    struct rk_json *j = &c->json;
    const char *name = user ? "User" : "Group";

    rk_json_object(j, NULL);
    rk_json_array(j, "schemas");
    rk_json_cstr(j, NULL, "urn:ietf:params:scim:schemas:core:2.0:ResourceType");
    rk_json_array_end(j);
    rk_json_cstr(j, "id", name);
    rk_json_cstr(j, "name", name);
    rk_json_cstr(j, "endpoint", user ? "/Users" : "/Groups");
    rk_json_cstr(j, "description", user ? "A person" : "A group of people");
    rk_json_cstr(j, "schema", user ? SCIM_USER_URN : SCIM_GROUP_URN);
    rk_json_array(j, "schemaExtensions");
    rk_json_array_end(j);
    rk_json_object(j, "meta");
    rk_json_cstr(j, "resourceType", "ResourceType");
    rk_json_cstr(j, "location",
                 rk_arena_printf(c->arena, "%s/ResourceTypes/%s", scim_base(c), name));
    rk_json_object_end(j);
    rk_json_object_end(j);
}

static int type_list(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    (void)scim;
    (void)err;
    scim_list_begin(c);
    write_type(c, true);
    write_type(c, false);
    scim_list_end(c, 2, 1, 2);
    return 0;
}

static int type_get(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    bool user = strcmp(c->var[0], "User") == 0;

    (void)scim;
    if (!user && strcmp(c->var[0], "Group") != 0)
        return rk_fail(err, RK_NOT_FOUND, "resource type %.64s not found", c->var[0]);
    write_type(c, user);
    return 0;
}

static int schema_list(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    (void)scim;
    (void)err;
    scim_list_begin(c);
    scim_schema_write(&c->json, true, scim_base(c));
    scim_schema_write(&c->json, false, scim_base(c));
    scim_list_end(c, 2, 1, 2);
    return 0;
}

static int schema_get(struct call *c, const struct rk_scim *scim, struct rk_err *err)
{
    bool user = rk_str_ieq(rk_str(c->var[0]), RK_STR(SCIM_USER_URN));

    (void)scim;
    if (!user && !rk_str_ieq(rk_str(c->var[0]), RK_STR(SCIM_GROUP_URN)))
        return rk_fail(err, RK_NOT_FOUND, "schema %.100s not found", c->var[0]);
    scim_schema_write(&c->json, user, scim_base(c));
    return 0;
}

int scim_config_get(struct call *c, struct rk_err *err)
{
    return scim_serve(c, config_get, err);
}

int scim_type_list(struct call *c, struct rk_err *err)
{
    return scim_serve(c, type_list, err);
}

int scim_type_get(struct call *c, struct rk_err *err)
{
    return scim_serve(c, type_get, err);
}

int scim_schema_list(struct call *c, struct rk_err *err)
{
    return scim_serve(c, schema_list, err);
}

int scim_schema_get(struct call *c, struct rk_err *err)
{
    return scim_serve(c, schema_get, err);
}
