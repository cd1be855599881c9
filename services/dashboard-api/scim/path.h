#pragma once

/*
 * Paths of PATCH operations (RFC 7644, 3.5.2): attr, attr.sub, attr[filter], attr[filter].sub, each
 * with or without a schema's URN before it. Any thread.
 */

#include "services/dashboard-api/scim/filter.h"

struct scim_path {
    struct scim_path_attr attr;
    const struct scim_filter *filter; /* NULL without []; eq and and alone */
};

/* invalidPath, and invalidFilter for what is inside []. */
int scim_path_parse(struct rk_str text,
                    struct rk_arena *a,
                    struct scim_path *out,
                    struct rk_err *err) RK_CHECKED;
