#pragma once

/*
 * TLS 1.2/1.3 contexts whose certificate and key are read again when the files change (checked
 * every few seconds; a bad new pair is logged and the old one stays). Owner: the loop thread that
 * made it.
 *
 * Bounds of a server: a client whose hello is larger than RK_TLS_MAX_HELLO, or who asks for more
 * than RK_TLS_MESSAGES key updates (or renegotiations, all refused) in RK_TLS_WINDOW_MS, is taken
 * for one that has hung up: SSL_get_shutdown says so at once, and SSL_read returns 0. Honest ones
 * change keys once in millions of records.
 */

#include <stdbool.h>

#include <openssl/ssl.h>

#include "libcommon/base/err.h"
#include "libcommon/loop/loop.h"

#define RK_TLS_MAX_HELLO ((size_t)16 * 1024)
#define RK_TLS_MESSAGES 64
#define RK_TLS_WINDOW_MS 10000

struct rk_tls;

/* `alpn`: wire-format list in order of preference, e.g. "\x02h2". Required: a client that offers
 * ALPN without a match is refused; one that offers none is accepted only if `alpn_optional`. */
int rk_tls_server_new(struct rk_loop *l,
                      const char *cert_file,
                      const char *key_file,
                      const char *alpn,
                      bool alpn_optional,
                      struct rk_tls **out,
                      struct rk_err *err);
/* `ca_file` NULL: system roots. */
int rk_tls_client_new(struct rk_loop *l,
                      const char *ca_file,
                      const char *alpn,
                      struct rk_tls **out,
                      struct rk_err *err);
/* A client that shows a certificate when the server asks for one. */
int rk_tls_client_show(struct rk_tls *t,
                       const char *cert_file,
                       const char *key_file,
                       struct rk_err *err);
void rk_tls_free(struct rk_tls *t);
SSL_CTX *rk_tls_ctx(struct rk_tls *t); /* current */
/* Our end of a connection, the caller's; it keeps the certificate it began with. Any thread. */
SSL *rk_tls_end(struct rk_tls *t);
