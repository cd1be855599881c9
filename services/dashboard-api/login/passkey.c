/* See passkey.h. */

#include "services/dashboard-api/login/passkey.h"

#include <pthread.h>

#include <fido.h>
#include <fido/eddsa.h>
#include <fido/es256.h>
#include <fido/rs256.h>
#include <jansson.h>

#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "services/dashboard-api/login/authenticator_data.h"

#define RP_HASH 32
#define FLAGS_AT RP_HASH
#define FLAG_PRESENT 0x01

const int passkey_algorithms[3] = { COSE_ES256, COSE_EDDSA, COSE_RS256 };

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
    fido_init(0);
}

static bool is(const json_t *o, const char *name, const char *want)
{
    const char *have = json_string_value(json_object_get(o, name));

    return have && rk_const_eq_str(rk_str(have), rk_str(want));
}

/* Section 7.1, steps 5 to 11, and 7.2, steps 9 to 14. */
static int check_client(const struct passkey_ask *ask,
                        const char *type,
                        struct rk_str client_data,
                        struct rk_err *err)
{
    json_t *o =
        json_loadb(client_data.p ? client_data.p : "", client_data.n, JSON_REJECT_DUPLICATES, NULL);
    const char *wrong = NULL;

    if (!json_is_object(o))
        wrong = "client data is no JSON object";
    else if (!is(o, "type", type))
        wrong = "client data is of another type";
    else if (ask->challenge[0] == '\0' || !is(o, "challenge", ask->challenge))
        wrong = "another challenge";
    else if (!is(o, "origin", ask->origin))
        wrong = "another origin";
    else if (json_is_true(json_object_get(o, "crossOrigin")))
        wrong = "inside a page of another origin";
    json_decref(o);
    return wrong ? rk_fail(err, RK_DENIED, "passkey: %s", wrong) : 0;
}

static int
check_data(const struct passkey_ask *ask, struct rk_str data, bool made, struct rk_err *err)
{
    uint8_t hash[RP_HASH];

    rk_sha256(ask->rp, strlen(ask->rp), hash);
    if (data.n <= FLAGS_AT || memcmp(data.p, hash, sizeof(hash)) != 0)
        return rk_fail(err, RK_DENIED, "passkey: for another host");
    if (!((uint8_t)data.p[FLAGS_AT] & FLAG_PRESENT))
        return rk_fail(err, RK_DENIED, "passkey: nobody was there");
    if (!authenticator_data_holds(data, made))
        return rk_fail(err, RK_DENIED, "passkey: not what an authenticator says");
    return 0;
}

static bool take_made(fido_cred_t *cred, int algorithm, struct rk_str data, struct passkey *out)
{
    if (!cred || fido_cred_set_type(cred, algorithm) != FIDO_OK ||
        fido_cred_set_authdata_raw(cred, (const uint8_t *)data.p, data.n) != FIDO_OK)
        return false;
    *out = (struct passkey){ .algorithm = algorithm,
                             .id_n = fido_cred_id_len(cred),
                             .key_n = fido_cred_pubkey_len(cred),
                             .count = fido_cred_sigcount(cred) };
    if (out->id_n == 0 || out->id_n > sizeof(out->id) || out->key_n == 0 ||
        out->key_n > sizeof(out->key))
        return false;
    memcpy(out->id, fido_cred_id_ptr(cred), out->id_n);
    memcpy(out->key, fido_cred_pubkey_ptr(cred), out->key_n);
    return true;
}

int passkey_made(const struct passkey_ask *ask,
                 struct rk_str client_data,
                 struct rk_str authenticator_data,
                 struct passkey *out,
                 struct rk_err *err)
{
    bool taken = false;
    int r;

    (void)pthread_once(&once, init);
    if (client_data.n > PASSKEY_DATA_MAX || authenticator_data.n > PASSKEY_DATA_MAX)
        return rk_fail(err, RK_DENIED, "passkey: too large");
    r = check_client(ask, "webauthn.create", client_data, err);
    if (r == 0)
        r = check_data(ask, authenticator_data, true, err);
    if (r < 0)
        return r;
    /* libfido2 takes a key only when it is of the algorithm it was told to expect. */
    for (size_t i = 0; i < RK_COUNT(passkey_algorithms) && !taken; i++) {
        fido_cred_t *cred = fido_cred_new();

        taken = take_made(cred, passkey_algorithms[i], authenticator_data, out);
        fido_cred_free(&cred);
    }
    return taken ? 0 : rk_fail(err, RK_DENIED, "passkey: not a key that we know");
}

static int verify(const fido_assert_t *assertion, const struct passkey *k)
{
    int r = FIDO_ERR_INTERNAL;

    if (k->algorithm == COSE_ES256) {
        es256_pk_t *pk = es256_pk_new();

        if (pk && es256_pk_from_ptr(pk, k->key, k->key_n) == FIDO_OK)
            r = fido_assert_verify(assertion, 0, k->algorithm, pk);
        es256_pk_free(&pk);
    } else if (k->algorithm == COSE_EDDSA) {
        eddsa_pk_t *pk = eddsa_pk_new();

        if (pk && eddsa_pk_from_ptr(pk, k->key, k->key_n) == FIDO_OK)
            r = fido_assert_verify(assertion, 0, k->algorithm, pk);
        eddsa_pk_free(&pk);
    } else if (k->algorithm == COSE_RS256) {
        rs256_pk_t *pk = rs256_pk_new();

        if (pk && rs256_pk_from_ptr(pk, k->key, k->key_n) == FIDO_OK)
            r = fido_assert_verify(assertion, 0, k->algorithm, pk);
        rs256_pk_free(&pk);
    }
    return r;
}

int passkey_signed(const struct passkey_ask *ask,
                   const struct passkey *k,
                   struct rk_str client_data,
                   struct rk_str authenticator_data,
                   struct rk_str signature,
                   uint32_t *out_count,
                   struct rk_err *err)
{
    fido_assert_t *assertion;
    uint32_t count = 0;
    bool good;
    int r;

    (void)pthread_once(&once, init);
    if (client_data.n > PASSKEY_DATA_MAX || authenticator_data.n > PASSKEY_DATA_MAX ||
        signature.n > PASSKEY_DATA_MAX || signature.n == 0)
        return rk_fail(err, RK_DENIED, "passkey: too large, or without a signature");
    r = check_client(ask, "webauthn.get", client_data, err);
    if (r == 0)
        r = check_data(ask, authenticator_data, false, err);
    if (r < 0)
        return r;
    assertion = fido_assert_new();
    good =
        assertion && fido_assert_set_count(assertion, 1) == FIDO_OK &&
        fido_assert_set_rp(assertion, ask->rp) == FIDO_OK &&
        fido_assert_set_up(assertion, FIDO_OPT_TRUE) == FIDO_OK &&
        fido_assert_set_clientdata(assertion, (const uint8_t *)client_data.p, client_data.n) ==
            FIDO_OK &&
        fido_assert_set_authdata_raw(assertion, 0, (const uint8_t *)authenticator_data.p,
                                     authenticator_data.n) == FIDO_OK &&
        fido_assert_set_sig(assertion, 0, (const uint8_t *)signature.p, signature.n) == FIDO_OK &&
        verify(assertion, k) == FIDO_OK;
    if (good)
        count = fido_assert_sigcount(assertion, 0);
    fido_assert_free(&assertion);
    if (!good)
        return rk_fail(err, RK_DENIED, "passkey: the signature is not right");
    if ((count > 0 || k->count > 0) && count <= k->count)
        return rk_fail(err, RK_DENIED, "passkey: its count went back, there may be a copy");
    *out_count = count;
    return 0;
}
