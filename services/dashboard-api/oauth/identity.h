#pragma once

/*
 * Identity: who somebody is, as a way to sign in has found out. It is kept with the session and
 * goes into tokens. Strings are the maker's, usually of a call's arena. Any thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

#define IDENTITY_MAX_GROUPS 500

struct identity {
    const char *user_id;      /* the encoded subject (rk_subject_encode) */
    const char *connector_id; /* "local", or a row of connector */
    /* Of a local user these are read from users again whenever a token is made. NULL and "" = not
     * known. */
    const char *email;
    const char *name;
    const char *preferred_username;
    bool email_verified;
    const struct rk_str *groups; /* as the upstream provider told; local users have none */
    size_t groups_n;
    /* Where the upstream provider ends its own session, a complete URL to which only
     * post_logout_redirect_uri and state are added; NULL = it has no such place. */
    const char *end_session_url;
};

/* One JSON object and back, for a column. RK_INTERNAL: not what identity_write wrote. */
void identity_write(const struct identity *id, struct rk_buf *out);
int identity_read(struct rk_str json,
                  struct rk_arena *arena,
                  struct identity *out,
                  struct rk_err *err) RK_CHECKED;
