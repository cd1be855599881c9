#pragma once

/*
 * Where sign-in meets provisioning: somebody whom a directory has announced over SCIM signs in for
 * the first time. Worker thread.
 */

#include <stdbool.h>

#include "libcommon/account/store/store.h"

/* Who signs in, as the verified token says; borrowed. */
struct rk_scim_login {
    const char *user_id;        /* the id of the user that is to be: subject(upstream, connector) */
    const char *upstream_id;    /* the id at their provider; user_id when there is no connector */
    const char *connector_id;   /* "" for a provider that is none of our connectors */
    const char *email;          /* "" when there is none */
    bool email_verified;        /* the claim email_verified is true */
    const char *default_domain; /* the server's dns_domain */
};

/*
 * Inside the change that would make the user, whose row is not there yet: looks among the people
 * that the account's integrations of this connector have announced, first by the id at the
 * provider, then by a verified e-mail that exactly one of them has. If somebody is found, the user
 * is made as provisioned (role user, the groups of the integration, no approval; blocked when the
 * directory says so) with its events, this binding stays for good, and *out_bound is true: the
 * caller makes no user of its own and reads the row. Else nothing has happened.
 */
int rk_scim_bind(struct rk_change *ch,
                 const struct rk_scim_login *login,
                 bool *out_bound,
                 struct rk_err *err) RK_CHECKED;
