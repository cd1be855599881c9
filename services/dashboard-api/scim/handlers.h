#pragma once

/* The endpoints under /api/scim/v2 that route/table.c names. Worker threads. */

#include "services/dashboard-api/call.h"

#define SCIM_MAX_USER ((size_t)1 << 20)
#define SCIM_MAX_GROUP ((size_t)5 << 20)

handler_fn scim_config_get, scim_type_list, scim_type_get, scim_schema_list, scim_schema_get;
handler_fn scim_user_list, scim_user_get, scim_user_create, scim_user_replace, scim_user_change,
    scim_user_delete;
handler_fn scim_group_list, scim_group_get, scim_group_create, scim_group_replace,
    scim_group_change, scim_group_delete;
