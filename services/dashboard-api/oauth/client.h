#pragma once

/*
 * Client: who may ask people to sign in, and where answers may go. There are two, both public:
 * the dashboard, and the agent on the command line. Made at start from the settings, read-only
 * afterwards; any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "services/dashboard-api/config.h"

struct client {
    const char *id;
    const char *name; /* for people */
    const struct rk_str *redirects;
    size_t redirects_n;
    const struct rk_str *logouts;
    size_t logouts_n;
    int64_t token_s; /* what its tokens live */
    bool any_port;   /* loopback redirects by address may name any port (RFC 8252, 7.3) */
    bool may_be_device;
};

#define CLIENTS_N 2
struct clients {
    struct client list[CLIENTS_N];
};

/* RK_INVALID names the setting. */
int clients_init(struct clients *out,
                 const struct api_config *config,
                 struct rk_arena *arena,
                 struct rk_err *err) RK_CHECKED;
const struct client *client_find(const struct clients *all, const char *id); /* NULL: unknown */
bool client_redirect_allowed(const struct client *cl, const char *uri);
bool client_logout_allowed(const struct client *cl, const char *uri);
