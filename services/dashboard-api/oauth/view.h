#pragma once

/*
 * What the provider shows to people, in the layout of page/. Each draws a page and returns 0, a
 * handler's answer. Worker thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "services/dashboard-api/call.h"
#include "services/dashboard-api/oauth/login.h"

enum view_problem {
    VIEW_BAD_CLIENT,   /* 400: an unknown client */
    VIEW_BAD_REDIRECT, /* 400: an address to return to that is not registered */
    VIEW_BAD_REQUEST,  /* 400: unreadable */
    VIEW_LOGIN_OVER,   /* 400: the login has ended, or belongs to another browser */
    VIEW_FORGED,       /* 403: the form did not come from our page */
    VIEW_TOO_MANY,     /* 429 */
};
int view_problem(struct call *c, enum view_problem what);

struct view_way {
    const char *type; /* "local", "google", "oidc", ... */
    const char *name; /* of the connector; "" for local */
    const char *href;
};
int view_chooser(struct call *c, const struct view_way *ways, size_t n);

/* A form to /oauth2/device/auth/verify_code with the field user_code; form purpose "device". `bad`:
 * the code that was typed leads nowhere. */
int view_device_code(struct call *c, const char *user_code, bool bad);

struct view_device {
    const char *login_id;
    const char *user_code; /* "BCDF-GHJK" */
    const char *client_name;
    const char *remote_ip; /* from where the device asked */
    int64_t asked_us;
    const char *who; /* e-mail address or name of who would approve */
};
/* A form to /oauth2/device/approve?login=<id> with the buttons answer=approve and answer=deny;
 * form purpose "device <login id>". */
int view_device_approve(struct call *c, const struct view_device *d);
int view_device_end(struct call *c, bool approved);

/* A form to /oauth2/logout; form purpose "logout". The three go along hidden, unless "". */
int view_logout_confirm(struct call *c,
                        const char *client_id,
                        const char *post_logout_redirect_uri,
                        const char *state);
int view_logged_out(struct call *c);
