#pragma once

/*
 * Dial: a connection to a server, TLS on it where its URL says so, as far as it gets; each step
 * waits ANSWER_MS at most. A certificate that is no good does not end it: what is wrong with it is
 * to be said. One thread.
 */

#include <openssl/ssl.h>

#include "libcommon/net/target.h"
#include "tools/doctor/check.h"

struct dial {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl; /* NULL: cleartext */
};

/* `alpn` in wire format, or NULL for none. After a failure too, dial_done. */
int dial_open(struct dial *d,
              const struct rk_target *to,
              const char *ca_file,
              const char *alpn,
              struct rk_err *err) RK_CHECKED;
void dial_done(struct dial *d);
RK_DEFINE_AUTO_DONE(struct dial, dial_done)

int dial_write(struct dial *d, const void *p, size_t n, struct rk_err *err) RK_CHECKED;
/* At least one byte; how many. */
int dial_read(struct dial *d, void *p, size_t max, struct rk_err *err) RK_CHECKED;

/* Says of what quality the certificate of an open dial is: valid, of this name, for how long. False
 * when agents refuse it. */
bool dial_judge(const struct dial *d, const struct rk_target *to, struct check *c);
