#include "tests/bench/lib/tls.h"

#include <stdlib.h>

#include "tests/bench/lib/report.h"

SSL_CTX *bench_tls_server(void)
{
    const char *cert = getenv("ROOKERY_TLS_CERT_FILE"), *key = getenv("ROOKERY_TLS_KEY_FILE");
    SSL_CTX *ctx;

    if (!cert || !key || !*cert)
        return NULL;
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1)
        bench_die("%s, %s: no certificate with its key", cert, key);
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return ctx;
}

void bench_tls_as_agents(SSL_CTX *ctx)
{
    if (SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                      "TLS_CHACHA20_POLY1305_SHA256") != 1)
        bench_die("no such ciphers");
}

struct rk_tls *bench_tls_grpc(struct rk_loop *l)
{
    const char *ca_file = getenv("ROOKERY_BENCH_CA");
    struct rk_err err = { 0 };
    struct rk_tls *tls;

    if (!ca_file || !*ca_file)
        return NULL;
    if (rk_tls_client_new(l, ca_file, "\x02h2", &tls, &err) < 0)
        bench_die("%s", err.msg);
    bench_tls_as_agents(rk_tls_ctx(tls));
    return tls;
}
