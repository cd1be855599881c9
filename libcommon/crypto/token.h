#pragma once

/*
 * Tokens. Relay credentials: payload = decimal Unix seconds of expiry, signature = HMAC-SHA256
 * under SHA-256(secret). Personal access tokens: prefix, 30 random base62 characters, 6 characters
 * of checksum (CRC-32 in base62, padded with '0'). Any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/crypto/ring.h"

/* Two while the secret is changed: credentials are issued under the first. */
struct rk_relay_key {
    struct rk_mac_ring ring;
};
/* Whether a setting holds one, or two. */
int rk_relay_secret_check(struct rk_str secret, struct rk_err *err);
void rk_relay_key_init(struct rk_relay_key *k, struct rk_str secret);
/* The text forms that management hands to agents. */
void rk_relay_token_issue(const struct rk_relay_key *k,
                          int64_t expires_s,
                          char payload[24],
                          char signature_b64[45]);
#define RK_RELAY_TOKEN_MAX 64
/* The same as the AUTH message has it, for who speaks to a relay itself; its length. */
size_t rk_relay_token_binary(const struct rk_relay_key *k,
                             int64_t expires_s,
                             uint8_t out[RK_RELAY_TOKEN_MAX]);
/* The binary token of the AUTH message: algo 01 | signature[32] | payload. RK_DENIED with the
 * reason in err. */
int rk_relay_token_check(const struct rk_relay_key *k,
                         struct rk_str token,
                         int64_t now_s,
                         struct rk_err *err);

#define RK_PAT_LEN 40
void rk_pat_new(const char prefix[4], char out[RK_PAT_LEN + 1]); /* prefix "nbp_" */
bool rk_pat_valid(const char prefix[4], struct rk_str token);    /* length, prefix and checksum */
