/* OpenSSL is fed from a buffer in memory, so that reading can be told not to wait. */

#include "tests/bench/lib/wire.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "tests/bench/lib/report.h"
#include "tests/bench/lib/tls.h"

#define CIPHERTEXT ((size_t)64 * 1024)

static SSL_CTX *trusting(const char *ca_file)
{
    static SSL_CTX *ctx;

    if (ctx)
        return ctx;
    ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1)
        bench_die("%s: no certificates", ca_file);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    bench_tls_as_agents(ctx);
    return ctx;
}

/* False: nothing has come, and it was not to wait. */
static bool feed(struct wire *w, int flags)
{
    char bytes[CIPHERTEXT];
    ssize_t n = recv(w->fd, bytes, sizeof(bytes), flags);

    if (n < 0 && errno == EAGAIN && flags == MSG_DONTWAIT)
        return false;
    if (n <= 0)
        bench_die("receiving: %s", n == 0 ? "connection closed" : strerror(errno));
    if (BIO_write(SSL_get_rbio(w->ssl), bytes, (int)n) != n)
        bench_die("no memory");
    return true;
}

static void handshake(struct wire *w, const char *ca_file, const char *server_name)
{
    int r;

    w->ssl = SSL_new(trusting(ca_file));
    /* The macro SSL_set_tlsext_host_name casts const away. */
    if (SSL_ctrl(w->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 (void *)(uintptr_t)server_name) != 1 ||
        SSL_set1_host(w->ssl, server_name) != 1)
        bench_die("%s: no server's name", server_name);
    SSL_set_bio(w->ssl, BIO_new(BIO_s_mem()), BIO_new_socket(w->fd, BIO_NOCLOSE));
    while ((r = SSL_connect(w->ssl)) != 1) {
        if (SSL_get_error(w->ssl, r) != SSL_ERROR_WANT_READ)
            bench_die("TLS handshake: %s",
                      X509_verify_cert_error_string(SSL_get_verify_result(w->ssl)));
        (void)feed(w, 0);
    }
}

void wire_open(struct wire *w, const struct sockaddr_in *server, const char *server_name)
{
    const char *ca_file = getenv("ROOKERY_BENCH_CA");
    struct timeval limit = { .tv_sec = 5 };
    int one = 1;

    w->ssl = NULL;
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (w->fd < 0 || connect(w->fd, (const struct sockaddr *)server, sizeof(*server)) < 0)
        bench_die("connecting: %s", strerror(errno));
    (void)setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    (void)setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (ca_file && *ca_file)
        handshake(w, ca_file, server_name);
}

void wire_write(struct wire *w, const void *p, size_t n)
{
    const char *at = p;

    while (n > 0) {
        ssize_t r = w->ssl ? SSL_write(w->ssl, at, (int)n) : send(w->fd, at, n, MSG_NOSIGNAL);

        if (r <= 0)
            bench_die("writing: %s", strerror(errno));
        at += r;
        n -= (size_t)r;
    }
}

/* Bytes, or 0 when it was not to wait and nothing has come. */
static size_t read_once(struct wire *w, void *p, size_t max, int flags)
{
    ssize_t n;

    if (!w->ssl) {
        n = recv(w->fd, p, max, flags);
        if (n < 0 && errno == EAGAIN && flags == MSG_DONTWAIT)
            return 0;
        if (n <= 0)
            bench_die("receiving: %s", n == 0 ? "connection closed" : strerror(errno));
        return (size_t)n;
    }
    while ((n = SSL_read(w->ssl, p, (int)max)) <= 0) {
        if (SSL_get_error(w->ssl, (int)n) != SSL_ERROR_WANT_READ)
            bench_die("TLS: connection closed");
        if (!feed(w, flags))
            return 0;
    }
    return (size_t)n;
}

void wire_read(struct wire *w, void *p, size_t n)
{
    char *at = p;

    while (n > 0) {
        size_t got = read_once(w, at, n, 0);

        at += got;
        n -= got;
    }
}

size_t wire_read_some(struct wire *w, void *p, size_t max)
{
    size_t got = read_once(w, p, max, MSG_DONTWAIT);

    /* The rest of the records that were fed, or nobody would be woken for them. */
    while (w->ssl && got > 0 && got < max) {
        int n = SSL_read(w->ssl, (char *)p + got, (int)(max - got));

        if (n <= 0)
            break;
        got += (size_t)n;
    }
    return got;
}
