#include "libcommon/crypto/token.h"

/* Relay credentials and personal access tokens. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"

#define ALGO_HMAC_SHA256 1
#define SIGNATURE 32
#define MIN_PAYLOAD 10
#define PAYLOAD 24

#define PAT_PREFIX 4
#define PAT_SECRET 30
#define PAT_CHECK 6

void rk_relay_key_init(struct rk_relay_key *k, struct rk_str secret)
{
    struct rk_ring ring;

    (void)rk_ring_split(secret, &ring, NULL); /* the settings have been checked */
    k->ring.n = ring.n;
    for (unsigned i = 0; i < ring.n; i++)
        rk_sha256(ring.secret[i].p, ring.secret[i].n, k->ring.key[i]);
}

int rk_relay_secret_check(struct rk_str secret, struct rk_err *err)
{
    struct rk_ring ring;

    if (rk_ring_split(secret, &ring, NULL) < 0)
        return rk_fail(err, RK_INVALID, "relay_secret: one line, and two while it is changed");
    return 0;
}

static void
sign(const struct rk_relay_key *k, int64_t expires_s, char payload[PAYLOAD], uint8_t out[SIGNATURE])
{
    (void)snprintf(payload, PAYLOAD, "%" PRId64, expires_s);
    rk_mac_make(&k->ring, rk_str(payload), out);
}

void rk_relay_token_issue(const struct rk_relay_key *k,
                          int64_t expires_s,
                          char payload[24],
                          char signature_b64[45])
{
    uint8_t signature[SIGNATURE];

    sign(k, expires_s, payload, signature);
    rk_b64_encode(signature, sizeof(signature), signature_b64);
}

size_t rk_relay_token_binary(const struct rk_relay_key *k,
                             int64_t expires_s,
                             uint8_t out[RK_RELAY_TOKEN_MAX])
{
    char payload[PAYLOAD];

    sign(k, expires_s, payload, out + 1);
    out[0] = ALGO_HMAC_SHA256;
    memcpy(out + 1 + SIGNATURE, payload, strlen(payload));
    return 1 + SIGNATURE + strlen(payload);
}

int rk_relay_token_check(const struct rk_relay_key *k,
                         struct rk_str token,
                         int64_t now_s,
                         struct rk_err *err)
{
    struct rk_str payload;
    int64_t expires_s;

    if (token.n < 1 + SIGNATURE)
        return rk_fail(err, RK_DENIED, "token of %zu bytes is too short", token.n);
    payload = rk_strn(token.p + 1 + SIGNATURE, token.n - 1 - SIGNATURE);
    if (payload.n < MIN_PAYLOAD)
        return rk_fail(err, RK_DENIED, "token payload of %zu bytes is too short", payload.n);
    if ((uint8_t)token.p[0] != ALGO_HMAC_SHA256)
        return rk_fail(err, RK_DENIED, "unknown token algorithm %u", (uint8_t)token.p[0]);
    if (!rk_mac_is_right(&k->ring, payload, (const uint8_t *)token.p + 1))
        return rk_fail(err, RK_DENIED, "token signature does not match");
    if (!rk_str_i64(payload, &expires_s))
        return rk_fail(err, RK_DENIED, "token payload is not a decimal time");
    if (now_s > expires_s)
        return rk_fail(err, RK_DENIED, "token expired %" PRId64 " s ago", now_s - expires_s);
    return 0;
}

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static bool is_base62(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void checksum(const char *secret, char out[PAT_CHECK])
{
    uint32_t v = rk_crc32(secret, PAT_SECRET);

    for (int i = PAT_CHECK - 1; i >= 0; i--) {
        out[i] = base62[v % 62];
        v /= 62;
    }
}

void rk_pat_new(const char prefix[4], char out[RK_PAT_LEN + 1])
{
    memcpy(out, prefix, PAT_PREFIX);
    for (size_t i = 0; i < PAT_SECRET; i++)
        out[PAT_PREFIX + i] = base62[rk_random_below(62)];
    checksum(out + PAT_PREFIX, out + PAT_PREFIX + PAT_SECRET);
    out[RK_PAT_LEN] = 0;
}

bool rk_pat_valid(const char prefix[4], struct rk_str token)
{
    char want[PAT_CHECK];

    if (token.n != RK_PAT_LEN || memcmp(token.p, prefix, PAT_PREFIX) != 0)
        return false;
    for (size_t i = PAT_PREFIX; i < RK_PAT_LEN; i++)
        if (!is_base62(token.p[i]))
            return false;
    checksum(token.p + PAT_PREFIX, want);
    return memcmp(want, token.p + PAT_PREFIX + PAT_SECRET, PAT_CHECK) == 0;
}
