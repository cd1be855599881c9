#include "tools/doctor/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define DAYS_TO_WARN 14

static int open_socket(struct dial *d, const struct rk_target *to, struct rk_err *err)
{
    const struct timeval limit = { .tv_sec = ANSWER_MS / 1000 };

    d->fd = socket(to->addr.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (d->fd < 0 || setsockopt(d->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        setsockopt(d->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
        return rk_fail(err, RK_INTERNAL, "socket: %s", strerror(errno));
    /* Linux bounds a connect by the limit of sending. */
    if (connect(d->fd, (const struct sockaddr *)&to->addr.ss, to->addr.len) < 0)
        return rk_fail(err, RK_UNAVAILABLE, "no connection: %s",
                       errno == EINPROGRESS ? "no answer" : strerror(errno));
    return 0;
}

/* The oldest of OpenSSL's queue, which says most. */
static int tls_fail(struct rk_err *err, const char *what)
{
    const char *why = ERR_reason_error_string(ERR_get_error());

    ERR_clear_error();
    return rk_fail(err, RK_UNAVAILABLE, "%s: %s", what, why ? why : "the server hangs up");
}

static bool is_ip(const char *host)
{
    uint8_t any[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

static int open_tls(struct dial *d,
                    const struct rk_target *to,
                    const char *ca_file,
                    const char *alpn,
                    struct rk_err *err)
{
    ERR_clear_error();
    d->ctx = SSL_CTX_new(TLS_client_method());
    if (!d->ctx || (ca_file ? SSL_CTX_load_verify_locations(d->ctx, ca_file, NULL)
                            : SSL_CTX_set_default_verify_paths(d->ctx)) != 1)
        return tls_fail(err, ca_file ? ca_file : "the system's certificates");
    /* It is looked at, but the handshake goes on whatever comes of it. */
    SSL_CTX_set_verify(d->ctx, SSL_VERIFY_NONE, NULL);
    d->ssl = SSL_new(d->ctx);
    if (!d->ssl || SSL_set_fd(d->ssl, d->fd) != 1 ||
        (!is_ip(to->host) && SSL_set_tlsext_host_name(d->ssl, to->host) != 1) ||
        (alpn &&
         SSL_set_alpn_protos(d->ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn)) != 0))
        return tls_fail(err, "TLS");
    if (SSL_connect(d->ssl) != 1)
        return tls_fail(err, "no TLS");
    return 0;
}

int dial_open(struct dial *d,
              const struct rk_target *to,
              const char *ca_file,
              const char *alpn,
              struct rk_err *err)
{
    int r;

    *d = (struct dial){ .fd = -1 };
    r = open_socket(d, to, err);
    if (r == 0 && to->tls)
        r = open_tls(d, to, ca_file, alpn, err);
    return r;
}

void dial_done(struct dial *d)
{
    SSL_free(d->ssl);
    SSL_CTX_free(d->ctx);
    if (d->fd >= 0)
        (void)close(d->fd);
}

int dial_write(struct dial *d, const void *p, size_t n, struct rk_err *err)
{
    if (d->ssl)
        return SSL_write(d->ssl, p, (int)n) == (int)n ? 0 : tls_fail(err, "writing");
    if (send(d->fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
        return rk_fail(err, RK_UNAVAILABLE, "writing: %s", strerror(errno));
    return 0;
}

int dial_read(struct dial *d, void *p, size_t max, struct rk_err *err)
{
    ssize_t n;

    errno = 0;
    n = d->ssl ? SSL_read(d->ssl, p, (int)max) : recv(d->fd, p, max, 0);
    if (n > 0)
        return (int)n;
    if (n < 0 && errno == EAGAIN)
        return rk_fail(err, RK_UNAVAILABLE, "no answer within %d s", ANSWER_MS / 1000);
    return rk_fail(err, RK_UNAVAILABLE, "the server hangs up");
}

bool dial_judge(const struct dial *d, const struct rk_target *to, struct check *c)
{
    static const char topic[] = "certificate";
    X509 *x = SSL_get0_peer_certificate(d->ssl);
    long verified = SSL_get_verify_result(d->ssl);
    int days = 0, seconds = 0;

    if (!x) {
        check_say(c, VERDICT_FAIL, topic, "give the server a certificate", "there is none");
        return false;
    }
    (void)ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x));
    if (days < 0 || seconds < 0) {
        check_say(c, VERDICT_FAIL, topic,
                  "put a new one into the files that it was read from, and repair what should "
                  "have renewed it",
                  "expired %d days ago", -days);
        return false;
    }
    if (verified != X509_V_OK) {
        check_say(c, VERDICT_FAIL, topic,
                  "have it signed by an authority that agents know, with the whole chain in its "
                  "file; if they are given an authority of your own, name it here with --ca",
                  "not believed: %s", X509_verify_cert_error_string(verified));
        return false;
    }
    if ((is_ip(to->host) ? X509_check_ip_asc(x, to->host, 0)
                         : X509_check_host(x, to->host, 0, 0, NULL)) != 1) {
        check_say(c, VERDICT_FAIL, topic,
                  "have one made with this name, or correct the URL that agents are given",
                  "does not name %s", to->host);
        return false;
    }
    if (days < DAYS_TO_WARN)
        check_say(c, VERDICT_WARN, topic, "renew it, and see why that was not done by itself",
                  "expires in %d days", days);
    else
        check_say(c, VERDICT_OK, topic, NULL, "names %s, valid for %d more days", to->host, days);
    return true;
}
