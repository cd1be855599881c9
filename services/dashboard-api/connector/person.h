#pragma once

/*
 * Person: what an upstream provider says of somebody, made into an identity of ours. Every provider
 * has its own idea of which claims it sends, and where. Any thread.
 */

#include <stdbool.h>

#include "libcommon/account/rules/connector.h"
#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/jansson.h"
#include "libcommon/base/str.h"
#include "services/dashboard-api/oauth/identity.h"

/* One JSON object, its members once each; RK_INVALID. json_decref *out. */
int person_parse(struct rk_str text, json_t **out, struct rk_err *err) RK_CHECKED;
/* Whether the ID token alone says who they are; if not, userinfo is worth asking. */
bool person_complete(enum rk_connector_kind kind, const json_t *token);

/*
 * `token` is the payload of a verified ID token, `more` what userinfo said (NULL: not asked); the
 * token comes first. For the kind microsoft `more` is Graph's answer and `token` NULL. RK_DENIED,
 * for the log: no lasting id, or no e-mail address, or one of them is not fit to be stored. `out`
 * has no end_session_url.
 */
int person_identity(const struct rk_connector *c,
                    const json_t *token,
                    const json_t *more,
                    struct rk_arena *arena,
                    struct identity *out,
                    struct rk_err *err) RK_CHECKED;
