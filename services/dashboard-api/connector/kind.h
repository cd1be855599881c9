#pragma once

/* What is different about each kind of upstream provider, one row each. Any thread. */

#include <stdbool.h>

#include "libcommon/account/rules/connector.h"

struct kind {
    const char *issuer; /* of a connector without one; NULL: it always has one */
    const char *scope;
    const char *user_claim; /* what names a person there, for ever */
    const char *ask_again;  /* value of `prompt` that makes it ask who they are once more */
    bool secret_in_body;    /* whatever discovery says */
    bool pkce;              /* it takes S256 without saying so */
    bool asks_userinfo;     /* always; else only for what the ID token leaves out */
    bool no_userinfo;       /* it has nothing to say there */
    bool no_logout;         /* ending its session takes an ID token, which we do not keep */
    bool gives_logins;      /* preferred_username is the directory's, nobody chooses it */
    bool graph;             /* OAuth 2 and Microsoft Graph; no ID token is looked at */
};

const struct kind *kind_of(enum rk_connector_kind kind);
