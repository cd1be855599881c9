/*
 * What forwarding costs at the least: read from A, look at a header of four bytes, write to B, on
 * one thread: no WebSocket, no masking, no authentication, no copy of ours (what one read brought
 * is written from where it lies, with one call a receiver) and no queue: it waits when a receiver
 * is full. `relay_ref ADDRESS:PORT`; says "ready" when it listens. A frame is two little-endian
 * 16-bit numbers, the receiver (connections count from 0 in the order of their coming) and the
 * length, and so many bytes. Numbers are not used again: one process a measurement.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "tests/bench/lib/report.h"

#define MAX_CONNECTIONS 4096
#define READ_BYTES (64 * 1024)
#define FRAME_MAX (4 + 65535)
#define LISTENER UINT32_MAX

struct receiver {
    int fd;
    size_t rest_n;
    uint8_t *rest; /* of the frame that its own reading has begun */
    struct iovec iov[64];
    int iovs;
};

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

static void take_in(void)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC), one = 1;

    if (fd < 0 || accepted == MAX_CONNECTIONS)
        bench_die("accepting: %s", strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    conn[accepted].fd = fd;
    conn[accepted].rest = rk_alloc(FRAME_MAX);
    watch_fd(fd, accepted++);
}

static void gone(struct receiver *c)
{
    (void)close(c->fd);
    c->fd = -1;
}

/* Sockets are blocking: a full receiver holds us up. */
static void flush_one(struct receiver *to)
{
    struct iovec *v = to->iov;
    int n = to->iovs;

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

static void serve(struct receiver *c)
{
    size_t have, at = 0;
    ssize_t n;

    memcpy(in, c->rest, c->rest_n);
    n = recv(c->fd, in + c->rest_n, READ_BYTES, 0);
    if (n <= 0) {
        gone(c);
        return;
    }
    have = c->rest_n + (size_t)n;
    while (have - at >= 4) {
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
}

int main(int argc, char **argv)
{
    struct sockaddr_in self = bench_address(argc > 1 ? argv[1] : "");
    struct epoll_event ev[64];
    int one = 1;

    epfd = epoll_create1(EPOLL_CLOEXEC);
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listen_fd, (const struct sockaddr *)&self, sizeof(self)) < 0 ||
        listen(listen_fd, 4096) < 0)
        bench_die("listening: %s", strerror(errno));
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
