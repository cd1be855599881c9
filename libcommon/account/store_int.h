#pragma once

/* Inside of the store, for its own directory and its tests. */

#include <stdbool.h>

#include "libcommon/account/model.h"
#include "libcommon/base/str.h"

/* account_change.kind as text, and back. */
const char *store_kind_name(enum rk_object_kind kind);
bool store_kind_parse(struct rk_str name, enum rk_object_kind *out);
