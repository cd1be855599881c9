#pragma once

/* Between the files of net/ and their tests. */

#include <stdbool.h>

#include "libcommon/net/tls.h"

/* Fills *err with OpenSSL's oldest queued error and empties the queue. */
int rk_tls_fail(struct rk_err *err, int code, const char *what);
/* After the handshake: a protocol was chosen, or none is needed. */
bool rk_tls_alpn_ok(SSL *ssl);
/* Server contexts: looks at the files now and takes a new pair; runs every 2 s by itself. */
void rk_tls_check_files(struct rk_tls *t);
