#pragma once

/*
 * Device: something without a browser that waits until somebody has said yes elsewhere (RFC 8628).
 * Known by its device code, which it keeps, and a user code, which a person types. 300 seconds; its
 * tokens are given out once. Worker thread.
 */

#include "services/dashboard-api/call.h"
#include "services/dashboard-api/oauth/grant.h"
#include "services/dashboard-api/oauth/session.h"
#include "services/dashboard-api/oauth/user_code.h"

#define DEVICE_GRANT_TYPE "urn:ietf:params:oauth:grant-type:device_code"
#define DEVICE_S 300
#define DEVICE_INTERVAL_S 5
#define DEVICE_MAX_OPEN 2000       /* of all */
#define DEVICE_MAX_OPEN_ADDRESS 20 /* of one address */

struct device {
    struct rk_str id;
    const char *client_id;
    const char *remote_ip; /* from where it asked */
    char user_code[USER_CODE_LEN + 1];
    int64_t asked_us;
};

/* A new one. RK_EXHAUSTED: too many wait. */
int device_new(struct call *c,
               const char *client_id,
               const char *scope,
               const char **out_device_code,
               char out_user_code[USER_CODE_LEN + 1],
               struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND: no device of this user code waits; the same for all reasons. */
int device_by_user_code(struct call *c, const char *typed, struct device *out, struct rk_err *err)
    RK_CHECKED;
int device_by_id(struct call *c, struct rk_str id, struct device *out, struct rk_err *err)
    RK_CHECKED;
/* RK_NOT_FOUND: it does not wait any more. Part of the caller's transaction. */
int device_answer(struct call *c,
                  const struct device *d,
                  const struct session *s,
                  bool approved,
                  struct rk_err *err) RK_CHECKED;
/*
 * The device asks whether it may. Inside the caller's transaction, which is to be committed even
 * when `out_why` has an error. Fills all of *g but what grant_new fills.
 */
int device_poll(struct call *c,
                const char *device_code,
                const char *client_id,
                struct grant *g,
                struct refusal *out_why,
                struct rk_err *err) RK_CHECKED;
