#pragma once

/* Handlers of the pages that local users meet. */

#include "services/dashboard-api/call.h"

/* /oauth2/auth/local/login?login=<id>: e-mail address and password. */
int login_password_get(struct call *c, struct rk_err *err);
int login_password_post(struct call *c, struct rk_err *err);

/* /oauth2/mfa/<page>?login=<id>: the second step. */
int login_totp_get(struct call *c, struct rk_err *err);
int login_totp_post(struct call *c, struct rk_err *err);
int login_recovery_get(struct call *c, struct rk_err *err);
int login_recovery_post(struct call *c, struct rk_err *err);
int login_passkey_get(struct call *c, struct rk_err *err);
int login_passkey_post(struct call *c, struct rk_err *err);
/* The offer of a passkey after the app was set up, and what it leads to. */
int login_offer_get(struct call *c, struct rk_err *err);
int login_offer_post(struct call *c, struct rk_err *err);

/* /oauth2/setup: the first account. */
int setup_page_get(struct call *c, struct rk_err *err);
int setup_page_post(struct call *c, struct rk_err *err);
/* /oauth2/invite?token=nbi_... */
int invite_page_get(struct call *c, struct rk_err *err);
int invite_page_post(struct call *c, struct rk_err *err);
/* /oauth2/password: of who is signed in. */
int change_page_get(struct call *c, struct rk_err *err);
int change_page_post(struct call *c, struct rk_err *err);
