#pragma once

/*
 * TLS session tickets: who comes back resumes its session with any replica that has the same
 * private key, as the keys that seal tickets are made of it and of the time. Nothing is kept for a
 * client. TLS 1.3 alone, where a resumed session still has a key exchange of its own. Agents, whose
 * TLS says that it never resumes, are given none. Any thread.
 */

#include <openssl/ssl.h>

#include "libcommon/base/err.h"

#define RK_TICKET_EPOCH_S (12 * 3600) /* keys change; those of the epoch before still open */

/* A server's context, with its private key loaded. */
int rk_ticket_use(SSL_CTX *ctx, struct rk_err *err) RK_CHECKED;
