#pragma once

/* The body of POST and PUT /api/policies, decoded. Any thread. */

#include "libcommon/account/rules/policy.h"
#include "services/dashboard-api/json/body.h"

/* RK_BAD_REQUEST. Everything is borrowed from the body or lives in the arena. */
int policy_body_decode(struct rk_str text,
                       struct rk_arena *arena,
                       struct body *body,
                       struct rk_policy_input *out,
                       struct rk_err *err) RK_CHECKED;
