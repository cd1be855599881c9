#pragma once

/* Strings of a stranger's JSON. They belong to the value. Any thread. */

#include <jansson.h>

#include "libcommon/base/str.h"

/* Empty for what is no string. */
static inline struct rk_str rk_json_text(const json_t *v)
{
    return rk_strn(json_string_value(v), json_string_length(v));
}

/* Empty when there is no such member, or it is no string. */
static inline struct rk_str rk_json_member(const json_t *o, const char *name)
{
    return rk_json_text(json_object_get(o, name));
}
