/* What was believed once is believed again without a look, and nothing else is. */

#include "tests/support/certificate.h"
#include "tests/support/test.h"
#include "tests/support/tls_memory.h"

#include "tests/bench/fleet/trust.h"

struct server {
    X509 *cert;
    SSL_CTX *ctx;
};

static void server_init(struct server *s, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    s->cert = certificate_new(key, name, "DNS:one,DNS:two");
    s->ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(s->ctx, s->cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(s->ctx, key), 1);
    EVP_PKEY_free(key);
}

static void server_done(struct server *s)
{
    SSL_CTX_free(s->ctx);
    X509_free(s->cert);
}

static bool believes(SSL_CTX *client, const char *name, const struct server *server)
{
    SSL *s = SSL_new(server->ctx), *c = SSL_new(client);
    bool done;

    assert_int_equal(SSL_set1_host(c, name), 1);
    tls_shake_hands(s, c);
    done = SSL_is_init_finished(c);
    assert_true(!done || SSL_get_verify_result(c) == X509_V_OK);
    SSL_free(s);
    SSL_free(c);
    return done;
}

static void what_was_believed_is_believed_again(void **state)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    struct server known, stranger;

    (void)state;
    server_init(&known, "known");
    server_init(&stranger, "stranger");
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
    trust_seen(client);
    assert_false(believes(client, "one", &known));
    X509_STORE_add_cert(SSL_CTX_get_cert_store(client), known.cert);
    assert_true(believes(client, "one", &known));
    assert_false(believes(client, "three", &known));
    assert_false(believes(client, "one", &stranger));
    SSL_CTX_set_cert_store(client, X509_STORE_new()); /* who looks now believes nobody */
    assert_true(believes(client, "one", &known));
    assert_false(believes(client, "two", &known));
    assert_false(believes(client, "one", &stranger));
    SSL_CTX_free(client);
    server_done(&known);
    server_done(&stranger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_believed_is_believed_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
