#pragma once

/* jansson's values with a scope: rk_auto(json_decref) json_t *v. */

#include <jansson.h>

#include "libcommon/base/attr.h"

RK_DEFINE_AUTO(json_t, json_decref)
