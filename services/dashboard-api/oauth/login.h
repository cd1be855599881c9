#pragma once

/*
 * Login: somebody is asked who they are, for a client's authorization request or for a device that
 * waits. One row in Postgres, so each step may reach another replica. Its id travels as `login` in
 * the URLs of all pages in between; it is worth nothing without the page cookie of the browser
 * that began. 30 minutes. Worker thread.
 *
 * - /oauth2/auth: oauth/authorize.c begins the login and sends the browser to
 *   /oauth2/auth/<connector>?login=<id>; with several ways to sign in view_chooser() links there.
 *
 * - /oauth2/auth/local: oauth/authorize.c sends it on to /oauth2/auth/local/login.
 *
 * - /oauth2/auth/local/login: login/, the password form; second factor below /oauth2/mfa.
 *
 * - /oauth2/auth/{connector}: connector/, off to the upstream provider, back at /oauth2/callback,
 *   whose `state` has the login's id. Without `login` in the query it is an authorization request
 *   that names its connector: oauth_authorize_with(c, connector).
 *
 * Each of them finds the login (login_find), may keep something with it (login_note), and when it
 * knows the person calls login_done, which is the handler's answer.
 */

#include <stdbool.h>
#include <stdint.h>

#include "services/dashboard-api/call.h"
#include "services/dashboard-api/oauth/identity.h"

#define LOGIN_MINUTES 30
#define LOGIN_NOTE_MAX 4096

/* Strings live in the call's arena; "" when absent. */
struct login {
    const char *id;
    const char *client_id;    /* of whom it is for; the device's too */
    const char *connector_id; /* chosen by the request; "" = none */
    const char *login_hint;   /* what to fill in as e-mail address */
    struct rk_str note;       /* what login_note has kept */
    bool fresh;            /* prompt=login or max_age: an upstream provider should ask again too */
    struct rk_str device;  /* id of the device that waits; empty: it is for a redirect */
    struct rk_str session; /* of the provider alone: who is asked to approve the device */
    int64_t created_us, expires_us;
};

/*
 * RK_NOT_FOUND: unknown, over, or another browser's; the page to show is the same for all. `id` may
 * be NULL.
 */
int login_find(struct call *c, const char *id, struct login *out, struct rk_err *err) RK_CHECKED;
/* `/oauth2/auth/<connector>?login=<id>`; in the arena. */
const char *login_path(struct call *c, const struct login *l, const char *connector_id);
/* To the chooser: "choose another way to sign in"; and whether it has another than a password. */
const char *login_chooser_path(struct call *c, const struct login *l);
int login_has_choice(struct call *c, const struct login *l, bool *out, struct rk_err *err)
    RK_CHECKED;

/* Keeps up to LOGIN_NOTE_MAX bytes with the login, sealed; replaces what was there. One owner at a
 * time: the connector, or the second factor's page. */
int login_note(struct call *c, struct login *l, struct rk_str note, struct rk_err *err) RK_CHECKED;

struct login_proof {
    struct identity who;
    bool second_factor; /* was asked for and given */
    bool remember;      /* the session outlives the browser */
};

/*
 * They have shown who they are. Makes a session with a new id (the browser's old one is gone), ends
 * the login, and answers with 303 to the client's redirect URI with a code, or to the page that
 * approves a device. RK_NOT_FOUND: the login was over meanwhile (pressed twice).
 */
int login_done(struct call *c,
               const struct login *l,
               const struct login_proof *proof,
               struct rk_err *err) RK_CHECKED;
