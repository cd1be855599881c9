#pragma once

/*
 * A group: a name, an id at the provider, and members, of which there may be a great many. So what
 * comes in is read into steps that the database takes as sets; nothing here holds a whole group.
 * Any thread.
 */

#include <jansson.h>

#include "libcommon/base/arena.h"
#include "services/dashboard-api/scim/patch.h"
#include "services/dashboard-api/scim/schema.h"

#define SCIM_NAME_MAX 255 /* bytes of a group's name */

enum scim_step_kind {
    SCIM_STEP_NAME,        /* text */
    SCIM_STEP_EXTERNAL_ID, /* text, "" for none */
    SCIM_STEP_ADD,         /* ids */
    SCIM_STEP_REMOVE,      /* ids */
    SCIM_STEP_REPLACE,     /* the members are ids, no others */
};

struct scim_step {
    enum scim_step_kind kind;
    const char *text; /* borrowed from the body */
    struct rk_str *ids;
    size_t ids_n;
    size_t nested; /* members that are groups: left out */
};

/* A whole group (POST, PUT): a name, and members if it has the attribute. In the arena.
 * invalidValue. */
int scim_group_read(const json_t *body,
                    struct rk_arena *a,
                    struct scim_step **out,
                    size_t *out_n,
                    struct rk_err *err) RK_CHECKED;
int scim_group_patch(const struct scim_op *ops,
                     size_t n,
                     struct rk_arena *a,
                     struct scim_step **out,
                     size_t *out_n,
                     struct rk_err *err) RK_CHECKED;
