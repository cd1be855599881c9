#pragma once

/*
 * Pages of the provider's endpoints: what is shown, while the endpoint knows when. Each writes a
 * whole page and returns 0, what a handler returns. Worker thread.
 */

#include <stdint.h>

#include "services/dashboard-api/call.h"

/* A link for each way to sign in: "Continue with <name>", of the local one (name NULL) "Continue
 * with Email". */
struct chooser_way {
    const char *name;
    const char *href;
};
int view_chooser(struct call *c, const struct chooser_way *ways, size_t n);

/* Where a user code is typed; form field user_code, posted to /oauth2/device/auth/verify_code, with
 * the token for "device". `wrong`: the last one was. */
int view_device_code(struct call *c, const char *user_code, bool wrong);

/* Approve or deny; posted to `action` with the token for `purpose`, field answer = "approve" or
 * "deny". */
struct device_view {
    const char *action, *purpose;
    const char *client; /* name of the application */
    const char *user_code;
    const char *remote_ip; /* from where the device asked */
    int64_t asked_us;      /* when */
    const char *account;   /* whose name it will have: e-mail or name */
};
int view_device_confirm(struct call *c, const struct device_view *v);
int view_device_done(struct call *c, bool approved);

/* May the session be ended? Posted to `action` with the token for "logout"; `fields` are names and
 * values, a NULL at the end, of hidden fields that go along. */
int view_logout_confirm(struct call *c, const char *action, const char *const *fields);
int view_logged_out(struct call *c, const char *back); /* where a link leads, or NULL */
