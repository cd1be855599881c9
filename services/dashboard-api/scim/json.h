#pragma once

/*
 * Bodies of SCIM requests. Names are found without regard to case, so two members whose names
 * differ in case alone are refused like duplicates. What a body may cost is bounded before it is
 * decoded: its containers and their depth are counted. Any thread.
 */

#include "libcommon/base/err.h"
#include "libcommon/base/jansson.h"
#include "libcommon/base/str.h"

#define SCIM_MAX_DEPTH 16
#define SCIM_MAX_CONTAINERS 150000 /* 5 MiB of members are not more */
#define SCIM_MAX_VALUES 500000

/* A new reference to an object; invalidSyntax. */
int scim_json_parse(struct rk_str text, json_t **out, struct rk_err *err) RK_CHECKED;
/* A member by its name; NULL when it is absent, borrowed when it is not. May be null. */
json_t *scim_json_get(const json_t *object, const char *name);
/* Absent, null or "". */
bool scim_json_empty(const json_t *v);
/* Some send a single value as a list of one {"value": ...}: what is in it. */
const json_t *scim_json_unwrap(const json_t *v);
