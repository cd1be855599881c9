/*
 * What a message through signal costs at the least: nghttp2 on both sides of one thread, no
 * protobuf (the receiver's key is taken from where it lies), no limits, no metrics, no other
 * replica, no queue but the receiver's own; one write a connection and turn. `signal_ref
 * ADDRESS:PORT`; says "ready" when it listens. Over TLS when ROOKERY_TLS_CERT_FILE and
 * ROOKERY_TLS_KEY_FILE are set. What signal_load.c sends is all that it understands.
 */

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

#include "libcommon/base/alloc.h"
#include "libcommon/crypto/box.h"
#include "tests/bench/lib/h2.h"
#include "tests/bench/lib/report.h"
#include "tests/bench/lib/tls.h"

#define MAX_CONNECTIONS 65536
#define SLOTS (4 * MAX_CONNECTIONS)
#define READ_BYTES (16 * 1024)
#define OUT_BYTES (17 * 1024) /* a record, and a frame's header */
#define GRPC_HEAD 5
#define RECEIVER_AT (GRPC_HEAD + 2 + RK_KEY_B64_LEN + 2) /* after the sender's key, field 2 */
#define BIG_WINDOW 0x7fffffff
#define IS_SEND ((void *)1) /* a stream that is a Send; another is a ConnectStream */

struct client {
    int fd;
    SSL *ssl;
    nghttp2_session *ng;
    int32_t stream; /* its ConnectStream; 0: none yet */
    char key[RK_KEY_B64_LEN];
    uint8_t *waiting; /* messages for it, one after the other */
    size_t waiting_n, waiting_room;
    uint8_t out[OUT_BYTES]; /* not yet taken by the kernel */
    size_t out_at, out_n;
    bool dirty;
};

static struct client *slot[SLOTS];
static struct client *dirty[MAX_CONNECTIONS];
static unsigned dirty_n;
static SSL_CTX *tls;
static int epfd, listen_fd;

static struct client **place(const char *key)
{
    uint64_t hash;
    size_t at;

    memcpy(&hash, key, sizeof(hash));
    at = (size_t)(hash * 0x9e3779b97f4a7c15ull >> 32) % SLOTS;
    while (slot[at] && memcmp(slot[at]->key, key, RK_KEY_B64_LEN) != 0)
        at = (at + 1) % SLOTS;
    return &slot[at];
}

static void mark(struct client *c)
{
    if (c->dirty)
        return;
    c->dirty = true;
    dirty[dirty_n++] = c;
}

/* -- what nghttp2 asks -- */

static ssize_t give_waiting(nghttp2_session *ng,
                            int32_t id,
                            uint8_t *to,
                            size_t max,
                            uint32_t *flags,
                            nghttp2_data_source *source,
                            void *arg)
{
    struct client *c = arg;
    size_t n = c->waiting_n < max ? c->waiting_n : max;

    (void)ng;
    (void)id;
    (void)flags;
    (void)source;
    if (n == 0)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(to, c->waiting, n);
    memmove(c->waiting, c->waiting + n, c->waiting_n - n);
    c->waiting_n -= n;
    return (ssize_t)n;
}

static ssize_t give_empty(nghttp2_session *ng,
                          int32_t id,
                          uint8_t *to,
                          size_t max,
                          uint32_t *flags,
                          nghttp2_data_source *source,
                          void *arg)
{
    nghttp2_nv trailer[] = { FIELD("grpc-status", "0") };

    (void)max;
    (void)source;
    (void)arg;
    memset(to, 0, GRPC_HEAD);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(ng, id, trailer, RK_COUNT(trailer));
    return GRPC_HEAD;
}

static int on_header(nghttp2_session *ng,
                     const nghttp2_frame *frame,
                     const uint8_t *name,
                     size_t name_n,
                     const uint8_t *value,
                     size_t value_n,
                     uint8_t flags,
                     void *arg)
{
    static const char path[] = ":path", send[] = "/Send", id[] = "x-wiretrustee-peer-id";
    struct client *c = arg;

    (void)flags;
    if (name_n == sizeof(path) - 1 && memcmp(name, path, name_n) == 0) {
        bool is_send = value_n > sizeof(send) &&
                       memcmp(value + value_n - (sizeof(send) - 1), send, sizeof(send) - 1) == 0;

        nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, is_send ? IS_SEND : NULL);
    } else if (name_n == sizeof(id) - 1 && memcmp(name, id, name_n) == 0) {
        if (value_n != RK_KEY_B64_LEN)
            bench_die("an agent with a key of %zu letters", value_n);
        memcpy(c->key, value, RK_KEY_B64_LEN);
        *place(c->key) = c;
    }
    return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    static const nghttp2_nv fields[] = { FIELD(":status", "200"),
                                         FIELD("content-type", "application/grpc"),
                                         FIELD("x-wiretrustee-peer-registered", "1") };
    nghttp2_data_provider waiting = { .read_callback = give_waiting },
                          empty = { .read_callback = give_empty };
    int32_t id = frame->hd.stream_id;
    struct client *c = arg;

    if (nghttp2_session_get_stream_user_data(ng, id) == IS_SEND) {
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM && frame->hd.type == NGHTTP2_DATA)
            nghttp2_submit_response(ng, id, fields, 2, &empty);
    } else if (frame->hd.type == NGHTTP2_HEADERS) {
        c->stream = id;
        nghttp2_submit_response(ng, id, fields, RK_COUNT(fields), &waiting);
    }
    mark(c);
    return 0;
}

/* A message comes whole, as it is shorter than any frame. */
static int
on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
    struct client *to;

    (void)ng;
    (void)flags;
    (void)id;
    (void)arg;
    if (n < RECEIVER_AT + RK_KEY_B64_LEN)
        bench_die("a piece of a message");
    to = *place((const char *)p + RECEIVER_AT);
    if (!to || to->stream == 0)
        bench_die("a message to nobody");
    if (to->waiting_n + n > to->waiting_room) {
        to->waiting_room = 2 * (to->waiting_n + n);
        to->waiting = rk_realloc(to->waiting, to->waiting_room);
    }
    memcpy(to->waiting + to->waiting_n, p, n);
    to->waiting_n += n;
    nghttp2_session_resume_data(to->ng, to->stream);
    mark(to);
    return 0;
}

/* -- sockets -- */

static ssize_t take(struct client *c, uint8_t *to, size_t max)
{
    ssize_t n = c->ssl ? SSL_read(c->ssl, to, (int)max) : recv(c->fd, to, max, 0);

    if (n > 0)
        return n;
    if (c->ssl ? SSL_get_error(c->ssl, (int)n) == SSL_ERROR_WANT_READ : n < 0 && errno == EAGAIN)
        return 0;
    return -1;
}

static bool put_out(struct client *c)
{
    while (c->out_at < c->out_n) {
        const uint8_t *p = c->out + c->out_at;
        size_t n = c->out_n - c->out_at;
        ssize_t r = c->ssl ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);

        if (r <= 0)
            return false; /* full, and tried again when there is more; or gone */
        c->out_at += (size_t)r;
    }
    c->out_at = c->out_n = 0;
    return true;
}

/* All that is to be said, in as few writes as records allow. */
static void flush(struct client *c)
{
    const uint8_t *p;
    ssize_t n;

    c->dirty = false;
    while (put_out(c)) {
        while (c->out_n < READ_BYTES / 2 && (n = nghttp2_session_mem_send(c->ng, &p)) > 0) {
            if (c->out_n + (size_t)n > sizeof(c->out))
                bench_die("a frame of %zd bytes", n);
            memcpy(c->out + c->out_n, p, (size_t)n);
            c->out_n += (size_t)n;
        }
        if (c->out_n == 0)
            return;
    }
}

static void gone(struct client *c)
{
    (void)close(c->fd); /* and leaves the epoll; a process is for one measurement */
}

static void serve(struct client *c)
{
    static uint8_t in[READ_BYTES];
    ssize_t n;

    while ((n = take(c, in, sizeof(in))) > 0) {
        if (nghttp2_session_mem_recv(c->ng, in, (size_t)n) < 0) {
            gone(c);
            return;
        }
        if (!c->ssl && n < READ_BYTES)
            break;
    }
    if (n < 0)
        gone(c);
    else
        mark(c);
}

static void speak_http2(struct client *c)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, BIG_WINDOW },
    };
    nghttp2_session_callbacks *with;

    nghttp2_session_callbacks_new(&with);
    nghttp2_session_callbacks_set_on_header_callback(with, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(with, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(with, on_data);
    if (nghttp2_session_server_new(&c->ng, with, c) != 0)
        bench_die("no session");
    nghttp2_session_callbacks_del(with);
    nghttp2_submit_settings(c->ng, NGHTTP2_FLAG_NONE, settings, RK_COUNT(settings));
    nghttp2_session_set_local_window_size(c->ng, NGHTTP2_FLAG_NONE, 0, BIG_WINDOW);
}

static void take_in(void)
{
    struct epoll_event ev = { .events = EPOLLIN };
    struct client *c = rk_new(struct client);
    int one = 1;

    c->fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (c->fd < 0)
        bench_die("accepting: %s", strerror(errno));
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (tls) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_accept_state(c->ssl);
    }
    speak_http2(c);
    ev.data.ptr = c;
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        bench_die("epoll: %s", strerror(errno));
}

static int choose_h2(SSL *ssl,
                     const unsigned char **out,
                     unsigned char *out_n,
                     const unsigned char *in,
                     unsigned in_n,
                     void *arg)
{
    (void)ssl;
    (void)in;
    (void)in_n;
    (void)arg;
    *out = (const unsigned char *)"h2";
    *out_n = 2;
    return SSL_TLSEXT_ERR_OK;
}

int main(int argc, char **argv)
{
    struct sockaddr_in self = bench_address(argc > 1 ? argv[1] : "");
    struct epoll_event ev[64] = { { .events = EPOLLIN } };

    tls = bench_tls_server();
    if (tls)
        SSL_CTX_set_alpn_select_cb(tls, choose_h2, NULL);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    listen_fd = bench_listen(&self);
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, listen_fd, &ev[0]) < 0)
        bench_die("epoll: %s", strerror(errno));
    printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        int n = epoll_wait(epfd, ev, RK_COUNT(ev), -1);

        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr)
                serve(ev[i].data.ptr);
            else
                take_in();
        }
        for (unsigned i = 0; i < dirty_n; i++)
            flush(dirty[i]);
        dirty_n = 0;
    }
}
