#pragma once

/*
 * A user: a JSON object that holds those attributes of schema.h that were sent, under their own
 * names and of their own types. Whatever comes in is brought into that form first, so that reading
 * a request, a PATCH of it and what is stored are one thing. Any thread.
 */

#include <jansson.h>

#include "libcommon/base/arena.h"
#include "services/dashboard-api/scim/patch.h"
#include "services/dashboard-api/scim/schema.h"

/* A new reference. invalidValue for a value of the wrong type or size; what is null or "" is left
 * out. Does not ask for a userName. */
int scim_user_read(const json_t *body, json_t **out, struct rk_err *err) RK_CHECKED;

/* In order; after an error *user is of no use. */
int scim_user_patch(json_t *user, const struct scim_op *ops, size_t n, struct rk_err *err)
    RK_CHECKED;

/* What we make of it; strings live as long as the object or the arena, "" when there is none. */
struct scim_user {
    const char *user_name, *external_id;
    const char *name, *email;
    bool active;               /* true unless it says otherwise */
    struct rk_str *email_keys; /* what its addresses are found by: see scim_email_key */
    size_t email_keys_n;
};
/* invalidValue without a userName. */
int scim_user_view(const json_t *user,
                   struct rk_arena *a,
                   struct scim_user *out,
                   struct rk_err *err) RK_CHECKED;

/* By what an address of a type (p NULL: of any) is found: lower-case text. In the arena. */
struct rk_str scim_email_key(struct rk_arena *a, struct rk_str type, struct rk_str value);
