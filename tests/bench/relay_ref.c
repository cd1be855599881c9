/*
 * What forwarding costs at the least: read from A, look at a header of four bytes, write to B, on
 * one thread: no WebSocket, no masking, no authentication, no copy of ours (what one read brought
 * is written from where it lies, with one call a receiver) and no queue: it waits when a receiver
 * is full. `relay_ref ADDRESS:PORT`; says "ready" when it listens. Over TLS, when the variables
 * ROOKERY_TLS_CERT_FILE and ROOKERY_TLS_KEY_FILE are set, what one read brought for a receiver is
 * gathered into records of 16 KiB at most. A frame is two little-endian
 * 16-bit numbers, the receiver (connections count from 0 in the order of their coming) and the
 * length, and so many bytes. Numbers are not used again: one process a measurement.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "tests/bench/lib/report.h"
#include "tests/bench/lib/tls.h"

#define MAX_CONNECTIONS 4096
#define READ_BYTES (64 * 1024)
#define FRAME_MAX (4 + 65535)
#define LISTENER UINT32_MAX
#define RECORD (16 * 1024)

struct receiver {
    int fd;
    size_t rest_n;
    uint8_t *rest; /* of the frame that its own reading has begun */
    struct iovec iov[64];
    int iovs;
    SSL *ssl; /* NULL: in the clear */
    uint8_t *record;
    size_t record_n;
};

static SSL_CTX *tls;
static struct receiver conn[MAX_CONNECTIONS];
static unsigned accepted;
static uint8_t in[FRAME_MAX + READ_BYTES];
static uint16_t touched[64];
static unsigned touched_n;
static int epfd, listen_fd;

static void watch_fd(int fd, uint32_t number)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.u32 = number };

    if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
        bench_die("epoll: %s", strerror(errno));
}

static void wait_for(const struct receiver *c, short events)
{
    struct pollfd p = { .fd = c->fd, .events = events };

    (void)poll(&p, 1, -1);
}

/* The handshake waits; there is nothing to measure yet. */
static void secure(struct receiver *c)
{
    c->ssl = SSL_new(tls);
    c->record = rk_alloc(RECORD);
    SSL_set_fd(c->ssl, c->fd);
    if (SSL_accept(c->ssl) != 1)
        bench_die("TLS handshake");
    SSL_set_read_ahead(c->ssl, 1);
    SSL_set_default_read_buffer_len(c->ssl, READ_BYTES);
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0)
        bench_die("not waiting: %s", strerror(errno));
}

static void take_in(void)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC), one = 1;

    if (fd < 0 || accepted == MAX_CONNECTIONS)
        bench_die("accepting: %s", strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    conn[accepted].fd = fd;
    conn[accepted].rest = rk_alloc(FRAME_MAX);
    if (tls)
        secure(&conn[accepted]);
    watch_fd(fd, accepted++);
}

static void gone(struct receiver *c)
{
    (void)close(c->fd);
    c->fd = -1;
}

static void flush_record(struct receiver *to)
{
    size_t done = 0;

    while (done < to->record_n && to->fd >= 0) {
        int n = SSL_write(to->ssl, to->record + done, (int)(to->record_n - done));

        if (n > 0)
            done += (size_t)n;
        else if (SSL_get_error(to->ssl, n) == SSL_ERROR_WANT_WRITE)
            wait_for(to, POLLOUT);
        else
            break; /* it has gone */
    }
    to->record_n = 0;
}

static void gather(struct receiver *to, const uint8_t *p, size_t n)
{
    while (n > 0) {
        size_t fits = RECORD - to->record_n < n ? RECORD - to->record_n : n;

        memcpy(to->record + to->record_n, p, fits);
        to->record_n += fits;
        p += fits;
        n -= fits;
        if (to->record_n == RECORD)
            flush_record(to);
    }
}

/* Sockets in the clear are blocking: a full receiver holds us up. */
static void flush_one(struct receiver *to)
{
    struct iovec *v = to->iov;
    int n = to->iovs;

    for (int i = 0; to->ssl && i < n; i++)
        gather(to, v[i].iov_base, v[i].iov_len);
    if (to->ssl) {
        flush_record(to);
        n = 0;
    }
    while (n > 0 && to->fd >= 0) {
        ssize_t r = writev(to->fd, v, n);

        if (r < 0)
            break; /* it has gone */
        for (; n > 0 && (size_t)r >= v->iov_len; v++, n--)
            r -= (ssize_t)v->iov_len;
        if (n > 0) {
            v->iov_base = (uint8_t *)v->iov_base + r;
            v->iov_len -= (size_t)r;
        }
    }
    to->iovs = 0;
}

static void flush(void)
{
    for (unsigned i = 0; i < touched_n; i++)
        flush_one(&conn[touched[i]]);
    touched_n = 0;
}

static void forward(uint16_t number, uint8_t *p, size_t n)
{
    struct receiver *to = &conn[number];
    struct iovec *last = to->iovs > 0 ? &to->iov[to->iovs - 1] : NULL;

    if (number >= accepted)
        bench_die("a frame to %u of %u", number, accepted);
    if (last && (uint8_t *)last->iov_base + last->iov_len == p) {
        last->iov_len += n;
        return;
    }
    if (to->iovs == 0 && touched_n == RK_COUNT(touched))
        flush();
    if (to->iovs == 0)
        touched[touched_n++] = number;
    to->iov[to->iovs++] = (struct iovec){ p, n };
    if (to->iovs == RK_COUNT(to->iov))
        flush_one(to);
}

/* What has come, or -1 at the end. */
static ssize_t read_some(struct receiver *c, uint8_t *to)
{
    size_t got = 0;
    int n = 0;

    if (!c->ssl) {
        ssize_t r = recv(c->fd, to, READ_BYTES, 0);

        return r > 0 ? r : -1;
    }
    while (got < READ_BYTES && (n = SSL_read(c->ssl, to + got, (int)(READ_BYTES - got))) > 0)
        got += (size_t)n;
    if (got == 0 && SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ)
        return -1;
    return (ssize_t)got;
}

static void serve(struct receiver *c)
{
    size_t have, at = 0;
    ssize_t n;

    do {
        memcpy(in, c->rest, c->rest_n);
        n = read_some(c, in + c->rest_n);
        if (n < 0) {
            gone(c);
            return;
        }
        have = c->rest_n + (size_t)n;
        for (at = 0; have - at >= 4;) {
            uint16_t header[2];

            memcpy(header, in + at, sizeof(header));
            if (have - at < 4 + (size_t)header[1])
                break;
            forward(header[0], in + at, 4 + (size_t)header[1]);
            at += 4 + (size_t)header[1];
        }
        flush();
        c->rest_n = have - at;
        memcpy(c->rest, in + at, c->rest_n);
    } while (c->ssl && SSL_has_pending(c->ssl) && n > 0);
}

int main(int argc, char **argv)
{
    struct sockaddr_in self = bench_address(argc > 1 ? argv[1] : "");
    struct epoll_event ev[64];

    tls = bench_tls_server();
    epfd = epoll_create1(EPOLL_CLOEXEC);
    listen_fd = bench_listen(&self);
    watch_fd(listen_fd, LISTENER);
    printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        int n = epoll_wait(epfd, ev, RK_COUNT(ev), -1);

        for (int i = 0; i < n; i++) {
            if (ev[i].data.u32 == LISTENER)
                take_in();
            else
                serve(&conn[ev[i].data.u32]);
        }
    }
}
