#pragma once

/* Both ends of a TLS connection over memory. */

#include <openssl/ssl.h>

#include "libcommon/base/attr.h"
#include "tests/support/test.h"

static RK_UNUSED void tls_carry(SSL *from, SSL *to)
{
    char bytes[16384];
    int n;

    while ((n = BIO_read(SSL_get_wbio(from), bytes, sizeof(bytes))) > 0)
        assert_int_equal(BIO_write(SSL_get_rbio(to), bytes, n), n);
}

/* As far as they come. */
static RK_UNUSED void tls_shake_hands(SSL *server, SSL *client)
{
    SSL_set_bio(server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (unsigned turns = 0; turns < 8; turns++) {
        (void)SSL_do_handshake(client);
        tls_carry(client, server);
        (void)SSL_do_handshake(server);
        tls_carry(server, client);
    }
}
