#pragma once

/*
 * A blocking stream to a server, in the clear or over TLS, as bare as a load generator wants it.
 * Whatever goes wrong ends the program. One thread.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

struct wire {
    int fd;
    SSL *ssl; /* NULL: in the clear */
};

/* Connected, Nagle off, 5 s limits; over TLS when the variable ROOKERY_BENCH_CA names the
 * certificates to believe, with `server_name` in the server's. */
void wire_open(struct wire *w, const struct sockaddr_in *server, const char *server_name);
void wire_write(struct wire *w, const void *p, size_t n);
void wire_read(struct wire *w, void *p, size_t n); /* all of it */
/* What there is now, up to `max`, and 0 when that is nothing; all that has come when max is at
 * least WIRE_READ. */
size_t wire_read_some(struct wire *w, void *p, size_t max);

#define WIRE_READ ((size_t)256 * 1024)
