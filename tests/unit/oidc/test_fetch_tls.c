/* Whose certificate is believed: one of the system's authorities or of the given file, and only for
 * the host that was asked. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/oidc/fetch.h"
#include "tests/support/certificate.h"

struct tls_server {
    SSL_CTX *ctx;
    int fd;
    unsigned port;
    pthread_t thread;
    char ca_file[32];
};

/* One connection after the other, each answered with "hello" when the client believes us. */
static void *serve(void *arg)
{
    static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    struct tls_server *s = arg;
    char request[4096];
    int fd;

    while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
        SSL *ssl = SSL_new(s->ctx);

        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1 && SSL_read(ssl, request, sizeof(request)) > 0) {
            SSL_write(ssl, hello, sizeof(hello) - 1);
            SSL_shutdown(ssl);
        }
        SSL_free(ssl);
        close(fd);
    }
    return NULL;
}

static void server_up(struct tls_server *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t n = sizeof(a);
    struct pair pair;
    BIO *cert, *key;
    X509 *x;
    EVP_PKEY *k;
    int file;

    pair_make(&pair, "localhost");
    cert = BIO_new_mem_buf(pair.cert, -1);
    key = BIO_new_mem_buf(pair.key, -1);
    x = PEM_read_bio_X509(cert, NULL, NULL, NULL);
    k = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
    s->ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(s->ctx, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(s->ctx, k), 1);
    X509_free(x);
    EVP_PKEY_free(k);
    BIO_free(cert);
    BIO_free(key);
    snprintf(s->ca_file, sizeof(s->ca_file), "/tmp/rk-ca-XXXXXX");
    file = mkstemp(s->ca_file);
    assert_int_equal(write(file, pair.cert, strlen(pair.cert)), strlen(pair.cert));
    close(file);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(s->fd, 8), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
    s->port = ntohs(a.sin_port);
    pthread_create(&s->thread, NULL, serve, s);
}

static void server_down(struct tls_server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    SSL_CTX_free(s->ctx);
    unlink(s->ca_file);
}

static int get(const struct tls_server *s, const char *host, const char *ca_file)
{
    const struct rk_fetch_rules rules = { .allow_private = true, .ca_file = ca_file };
    rk_auto(rk_fetch_answer_done) struct rk_fetch_answer answer;
    char url[64];
    struct rk_fetch_request q = { .url = url };
    struct rk_err err = { 0 };
    int r;

    rk_fetch_answer_init(&answer);
    snprintf(url, sizeof(url), "https://%s:%u/", host, s->port);
    r = rk_fetch(&rules, &q, &answer, &err);
    assert_int_equal(r == 0, rk_str_eq(rk_buf_str(&answer.body), RK_STR("hello")));
    return r;
}

static void only_a_certificate_that_is_believed_and_of_that_host_will_do(void **state)
{
    struct tls_server s = { 0 };

    (void)state;
    server_up(&s);
    assert_int_equal(get(&s, "localhost", NULL), RK_UNAVAILABLE);
    assert_int_equal(get(&s, "localhost", ""), RK_UNAVAILABLE);
    assert_int_equal(get(&s, "localhost", s.ca_file), 0);
    assert_int_equal(get(&s, "127.0.0.1", s.ca_file), RK_UNAVAILABLE);
    assert_int_equal(get(&s, "localhost", "/nowhere"), RK_UNAVAILABLE);
    server_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_certificate_that_is_believed_and_of_that_host_will_do),
    };

    signal(SIGPIPE, SIG_IGN); /* a client that does not believe us goes in the middle of a word */
    return RUN_TESTS(tests);
}
