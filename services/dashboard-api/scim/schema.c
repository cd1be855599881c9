/* See schema.h. */

#include "services/dashboard-api/scim/schema.h"

#include <stdio.h>

static const struct scim_attribute name_parts[] = {
    { .name = "formatted", .description = "The whole name" },
    { .name = "familyName", .description = "Family name" },
    { .name = "givenName", .description = "Given name" },
    { .name = "middleName", .description = "Middle names" },
    { .name = "honorificPrefix", .description = "Title before the name" },
    { .name = "honorificSuffix", .description = "Suffix of the name" },
    { .name = NULL },
};
static const struct scim_attribute email_parts[] = {
    { .name = "value", .description = "E-mail address" },
    { .name = "display", .description = "Name to show" },
    { .name = "type", .description = "Which of the addresses", .values = "work home other" },
    { .name = "primary", .description = "The one to be used", .type = SCIM_FLAG },
    { .name = NULL },
};
static const struct scim_attribute membership_parts[] = {
    { .name = "value", .description = "Id of the group", .read_only = true, .case_exact = true },
    { .name = "display", .description = "Name of the group", .read_only = true },
    { .name = "type",
      .description = "How the user belongs to it",
      .read_only = true,
      .values = "direct" },
    { .name = NULL },
};
static const struct scim_attribute member_parts[] = {
    { .name = "value", .description = "Id of the user", .immutable = true, .case_exact = true },
    { .name = "display", .description = "Name of the user", .read_only = true },
    { .name = "$ref",
      .description = "URL of the user",
      .type = SCIM_LINK,
      .immutable = true,
      .case_exact = true,
      .values = "User" },
    { .name = "type", .description = "What the member is", .immutable = true, .values = "User" },
    { .name = NULL },
};

const struct scim_attribute scim_user_attributes[] = {
    { .name = "userName",
      .description = "Login name, unique without regard to case",
      .required = true,
      .unique = true },
    { .name = "externalId",
      .description = "Id at the identity provider: the subject of its logins",
      .case_exact = true },
    { .name = "displayName", .description = "Name to show" },
    { .name = "name", .description = "Name", .type = SCIM_COMPLEX, .sub = name_parts },
    { .name = "active",
      .description = "Whether the user has access",
      .type = SCIM_FLAG,
      .always = true },
    { .name = "emails",
      .description = "E-mail addresses",
      .type = SCIM_COMPLEX,
      .multi = true,
      .sub = email_parts },
    { .name = "groups",
      .description = "Groups the user is a member of",
      .type = SCIM_COMPLEX,
      .multi = true,
      .read_only = true,
      .sub = membership_parts },
    { .name = NULL },
};
const struct scim_attribute scim_group_attributes[] = {
    { .name = "displayName",
      .description = "Name of the group, unique without regard to case",
      .required = true,
      .unique = true },
    { .name = "externalId", .description = "Id at the identity provider", .case_exact = true },
    { .name = "members",
      .description = "Users of the group",
      .type = SCIM_COMPLEX,
      .multi = true,
      .sub = member_parts },
    { .name = NULL },
};

const struct scim_attribute *scim_attribute_find(const struct scim_attribute *of,
                                                 struct rk_str name)
{
    for (; of->name; of++)
        if (rk_str_ieq(rk_str(of->name), name))
            return of;
    return NULL;
}

static void write_values(struct rk_json *j, const struct scim_attribute *of)
{
    struct rk_str rest = rk_str(of->values), value;

    rk_json_array(j, of->type == SCIM_LINK ? "referenceTypes" : "canonicalValues");
    while (rk_str_next(&rest, ' ', &value))
        rk_json_str(j, NULL, value);
    rk_json_array_end(j);
}

static void write_attributes(struct rk_json *j, const char *key, const struct scim_attribute *of)
{
    static const char *const types[] = {
        [SCIM_TEXT] = "string",
        [SCIM_FLAG] = "boolean",
        [SCIM_COMPLEX] = "complex",
        [SCIM_LINK] = "reference",
    };

    rk_json_array(j, key);
    for (; of->name; of++) {
        rk_json_object(j, NULL);
        rk_json_cstr(j, "name", of->name);
        rk_json_cstr(j, "type", types[of->type]);
        rk_json_bool(j, "multiValued", of->multi);
        rk_json_cstr(j, "description", of->description);
        rk_json_bool(j, "required", of->required || of->always);
        if (of->type == SCIM_TEXT || of->type == SCIM_LINK)
            rk_json_bool(j, "caseExact", of->case_exact);
        if (of->values)
            write_values(j, of);
        rk_json_cstr(j, "mutability",
                     of->read_only   ? "readOnly"
                     : of->immutable ? "immutable"
                                     : "readWrite");
        rk_json_cstr(j, "returned", "default");
        rk_json_cstr(j, "uniqueness", of->unique ? "server" : "none");
        if (of->sub)
            write_attributes(j, "subAttributes", of->sub);
        rk_json_object_end(j);
    }
    rk_json_array_end(j);
}

void scim_schema_write(struct rk_json *j, bool user, const char *base)
{
    const char *urn = user ? SCIM_USER_URN : SCIM_GROUP_URN;
    char location[512];

    snprintf(location, sizeof(location), "%.380s/Schemas/%s", base, urn);
    rk_json_object(j, NULL);
    rk_json_array(j, "schemas");
    rk_json_cstr(j, NULL, "urn:ietf:params:scim:schemas:core:2.0:Schema");
    rk_json_array_end(j);
    rk_json_cstr(j, "id", urn);
    rk_json_cstr(j, "name", user ? "User" : "Group");
    rk_json_cstr(j, "description", user ? "A person" : "A group of people");
    write_attributes(j, "attributes", user ? scim_user_attributes : scim_group_attributes);
    rk_json_object(j, "meta");
    rk_json_cstr(j, "resourceType", "Schema");
    rk_json_cstr(j, "location", location);
    rk_json_object_end(j);
    rk_json_object_end(j);
}
