#pragma once

/*
 * PATCH (RFC 7644, 3.5.2): the operations of a request, in order. What each does to a resource is
 * in user.c and group.c. Values are borrowed from the body. Any thread.
 */

#include <jansson.h>

#include "services/dashboard-api/scim/path.h"

#define SCIM_OPS_MAX 5000

enum scim_op_kind {
    SCIM_ADD,
    SCIM_REPLACE,
    SCIM_REMOVE,
};

/* An operation without a path has become one for each member of its value. */
struct scim_op {
    enum scim_op_kind kind;
    struct scim_path path;
    const json_t *value; /* NULL when there is none */
};

/* In the arena. invalidSyntax, invalidPath, invalidFilter, noTarget, tooMany. */
int scim_patch_read(const json_t *body,
                    struct rk_arena *a,
                    struct scim_op **out,
                    size_t *out_n,
                    struct rk_err *err) RK_CHECKED;

/* Of a schema that is not the resource's own: accepted, without effect. */
bool scim_path_foreign(const struct scim_path_attr *attr, struct rk_str urn);
