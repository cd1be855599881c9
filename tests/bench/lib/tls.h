#pragma once

/* TLS for both sides of a measurement. One thread. */

#include <openssl/ssl.h>

#include "libcommon/loop/loop.h"
#include "libcommon/net/tls.h"

/* A reference loop's: TLS 1.3 with AES-128, without tickets, by the variables ROOKERY_TLS_CERT_FILE
 * and ROOKERY_TLS_KEY_FILE; NULL when they are not set. Ends the program when they are of no use.
 */
SSL_CTX *bench_tls_server(void);
/* A client's: AES-128 before AES-256, as Go's has it, in which agents are written. */
void bench_tls_as_agents(SSL_CTX *ctx);
/* Agents' of gRPC, who believe the certificates that ROOKERY_BENCH_CA names; NULL when it is not
 * set. */
struct rk_tls *bench_tls_grpc(struct rk_loop *l);
