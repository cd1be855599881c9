#pragma once

/*
 * What pages load beside themselves: stylesheet, logo, one script. They are files of page/static,
 * put into the program by the build; their path holds a digest of what is in them, so that a
 * browser may keep them for good. Any thread.
 */

#include "services/dashboard-api/call.h"

/* "/oauth2/static/style-<digest>.css" of "style.css"; the name is one of ours. */
const char *static_path(const char *name);

/* GET /oauth2/static/{} */
int static_get(struct call *c, struct rk_err *err);
