#pragma once

/*
 * OpenSSL without a socket: it reads what its owner has read, and what it has to say is given to
 * the owner, who takes all of it. Nothing is held for a connection that is silent.
 */

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

struct rk_tls_io {
    const uint8_t *in; /* what has come and was not looked at yet */
    size_t in_n;
    void (*put)(struct rk_tls_io *io, const void *p, size_t n);
};

/* `io` outlives `ssl`. */
void rk_tls_io_attach(struct rk_tls_io *io, SSL *ssl);
