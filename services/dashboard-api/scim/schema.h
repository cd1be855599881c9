#pragma once

/*
 * The attributes we have, as a table: /Schemas is written from it, and what comes in is read by it.
 * Everything else is accepted without effect. Any thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/base/json.h"

#define SCIM_USER_URN "urn:ietf:params:scim:schemas:core:2.0:User"
#define SCIM_GROUP_URN "urn:ietf:params:scim:schemas:core:2.0:Group"
#define SCIM_TEXT_MAX 1024 /* bytes of one text */
#define SCIM_LIST_MAX 50   /* elements of one attribute, but for members */

enum scim_type {
    SCIM_TEXT,
    SCIM_FLAG,
    SCIM_COMPLEX,
    SCIM_LINK, /* URL of a resource of the type `values` */
};

struct scim_attribute {
    const char *name;
    const char *description;
    enum scim_type type;
    bool multi, required, case_exact, read_only, immutable, unique;
    bool always;                      /* has a value though none was given, and can't be removed */
    const char *values;               /* the usual ones, with spaces between; NULL = any */
    const struct scim_attribute *sub; /* ended by a row without name */
};

extern const struct scim_attribute scim_user_attributes[];  /* ended by a row without name */
extern const struct scim_attribute scim_group_attributes[]; /* the same */

/* NULL when there is none of that name, whatever its case. */
const struct scim_attribute *scim_attribute_find(const struct scim_attribute *of,
                                                 struct rk_str name);

/* The schema of one resource as an object; `base` is the URL of the service. */
void scim_schema_write(struct rk_json *j, bool user, const char *base);
