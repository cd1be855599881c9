#include "libcommon/net/ticket.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/rand.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/net/tls_int.h"

#define NAME_LEN 16
#define IV_LEN 16

/* Hangs on the context: of the private key, and of nothing that changes with the time. */
struct root {
    uint8_t key[32];
};

struct ticket_key {
    uint8_t name[32]; /* the first NAME_LEN of it */
    uint8_t cipher[32];
    uint8_t mac[32];
};

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int root_index = -1;

static void root_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    (void)parent;
    (void)ad;
    (void)idx;
    (void)argl;
    (void)argp;
    if (ptr)
        rk_wipe(ptr, sizeof(struct root));
    free(ptr);
}

static void make_index(void)
{
    root_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, root_free);
}

static void derive(const struct root *root, const char *what, int64_t epoch, uint8_t out[32])
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%s %lld", what, (long long)epoch);

    rk_hmac_sha256(root->key, sizeof(root->key), text, (size_t)n, out);
}

static void key_of(const struct root *root, int64_t epoch, struct ticket_key *out)
{
    derive(root, "name", epoch, out->name);
    derive(root, "cipher", epoch, out->cipher);
    derive(root, "mac", epoch, out->mac);
}

static bool arm_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac,
                                                              sizeof(key->mac)),
                            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                            OSSL_PARAM_construct_end() };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int seal(const struct root *root,
                int64_t epoch,
                unsigned char *name,
                unsigned char *iv,
                EVP_CIPHER_CTX *cipher,
                EVP_MAC_CTX *mac)
{
    struct ticket_key key;
    bool good;

    key_of(root, epoch, &key);
    memcpy(name, key.name, NAME_LEN);
    good = RAND_bytes(iv, IV_LEN) == 1 &&
           EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher, iv, NULL) == 1 &&
           arm_mac(mac, &key);
    rk_wipe(&key, sizeof(key));
    return good ? 1 : -1;
}

/* 2: its client gets another one, as each is for one use. 0: not one of ours, or too old; there is
 * a full handshake then. */
static int open_sealed(const struct root *root,
                       int64_t epoch,
                       const unsigned char *name,
                       const unsigned char *iv,
                       EVP_CIPHER_CTX *cipher,
                       EVP_MAC_CTX *mac)
{
    struct ticket_key key;
    int r = 0;

    for (int64_t e = epoch; r == 0 && e >= epoch - 1; e--) {
        key_of(root, e, &key);
        if (CRYPTO_memcmp(name, key.name, NAME_LEN) != 0)
            continue;
        r = EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher, iv, NULL) == 1 &&
                    arm_mac(mac, &key)
                ? 2
                : -1;
    }
    rk_wipe(&key, sizeof(key));
    return r;
}

static int on_ticket(SSL *ssl,
                     unsigned char *name,
                     unsigned char *iv,
                     EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac,
                     int sealing)
{
    const struct root *root = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), root_index);
    int64_t epoch = rk_wall_s() / RK_TICKET_EPOCH_S;

    if (SSL_version(ssl) < TLS1_3_VERSION)
        return 0;
    return sealing ? seal(root, epoch, name, iv, cipher, mac)
                   : open_sealed(root, epoch, name, iv, cipher, mac);
}

/* Go's TLS, which agents have, names ways to resume only when it keeps sessions. */
static int on_hello(SSL *ssl, int *alert, void *arg)
{
    const unsigned char *modes;
    size_t n;

    (void)alert;
    (void)arg;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk_kex_modes, &modes, &n) == 1)
        SSL_set_num_tickets(ssl, 1);
    return SSL_CLIENT_HELLO_SUCCESS;
}

int rk_ticket_use(SSL_CTX *ctx, struct rk_err *err)
{
    EVP_PKEY *pkey = SSL_CTX_get0_privatekey(ctx);
    unsigned char *der = NULL;
    int n = pkey ? i2d_PrivateKey(pkey, &der) : -1;
    struct root *root;

    if (n <= 0)
        return rk_tls_fail(err, RK_INVALID, "private key");
    pthread_once(&index_once, make_index);
    root = rk_new(struct root);
    rk_hmac_sha256("rookery TLS tickets", 19, der, (size_t)n, root->key);
    OPENSSL_clear_free(der, (size_t)n);
    SSL_CTX_set_ex_data(ctx, root_index, root);
    SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
    SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
    return 0;
}
