#pragma once

/*
 * An authorization request, read and judged: what a client may ask, in the order that decides
 * whether a mistake is shown to the person or told to the client. Pure; any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "services/dashboard-api/oauth/client.h"
#include "services/dashboard-api/oauth/params.h"
#include "services/dashboard-api/oauth/refusal.h"

#define AUTHORIZE_MAX_STATE 1024
#define AUTHORIZE_MAX_NONCE 512
#define AUTHORIZE_MAX_HINT 320
#define CHALLENGE_LEN 43 /* base64url of SHA-256 */

/* Strings of the parameters; "" when absent. */
struct authorize_request {
    const struct client *client;
    const char *redirect_uri;
    const char *state;
    const char *nonce;
    const char *code_challenge;
    const char *login_hint;
    const char *connector_id;
    const char *id_token_hint;
    unsigned scope;
    bool silent;       /* prompt=none */
    bool fresh;        /* prompt=login */
    bool choose;       /* prompt=select_account */
    int64_t max_age_s; /* -1: any */
};

enum authorize_outcome {
    AUTHORIZE_OK,
    AUTHORIZE_BAD_CLIENT, /* these two are shown: nobody is to be redirected by them */
    AUTHORIZE_BAD_REDIRECT,
    AUTHORIZE_REFUSED, /* told to the client: *out has where to, and `state` */
};
enum authorize_outcome authorize_read(const struct params *p,
                                      const struct clients *clients,
                                      struct authorize_request *out,
                                      struct refusal *out_why);
