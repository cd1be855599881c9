#pragma once

/*
 * Passkeys, W3C Web Authentication level 2: what a browser sends about one that was made, and what
 * one has signed. CBOR, COSE and signatures are libfido2's. No statement about the authenticator's
 * maker is asked for (attestation "none"). Any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

#define PASSKEY_ID_MAX 1023
#define PASSKEY_KEY_MAX 300
#define PASSKEY_DATA_MAX 4096 /* of what is sent */

/* COSE algorithms we know: ES256, EdDSA, RS256. */
extern const int passkey_algorithms[3];

/* What the browser must have been asked. */
struct passkey_ask {
    const char *challenge; /* base64url */
    const char *origin;    /* "https://d.test" */
    const char *rp;        /* its host */
};

struct passkey {
    uint8_t id[PASSKEY_ID_MAX];
    size_t id_n;
    int algorithm;
    uint8_t key[PASSKEY_KEY_MAX];
    size_t key_n;
    uint32_t count; /* of signatures; 0 for those that do not count */
};

/* RK_DENIED with the reason, which is for the log. */
int passkey_made(const struct passkey_ask *ask,
                 struct rk_str client_data,
                 struct rk_str authenticator_data,
                 struct passkey *out,
                 struct rk_err *err) RK_CHECKED;
/* With the key of `k`, whose count must have grown; stores the new one. */
int passkey_signed(const struct passkey_ask *ask,
                   const struct passkey *k,
                   struct rk_str client_data,
                   struct rk_str authenticator_data,
                   struct rk_str signature,
                   uint32_t *out_count,
                   struct rk_err *err) RK_CHECKED;
