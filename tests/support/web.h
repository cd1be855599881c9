#pragma once

/*
 * A web server on 127.0.0.1 that answers whatever a test wants, on threads of its own; answers may
 * be late, cut off or nonsense.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "tests/support/test.h"

#define WEB_CONNECTIONS 256

struct web;

/* Fills `out` with everything that goes over the wire. `request` ends with NUL. Server threads. */
typedef void web_answer_fn(struct web *w, const char *request, struct rk_buf *out);

struct web {
    web_answer_fn *answer;
    void *arg;
    int fd;
    uint16_t port;
    char url[64];          /* http://127.0.0.1:port */
    _Atomic unsigned hits; /* requests begun */
    pthread_t thread;
    pthread_t each[WEB_CONNECTIONS];
    size_t n;
    /* Closed: answers go out. Held: they wait. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held, stopping;
    unsigned waiting;
};

struct web_connection {
    struct web *w;
    int fd;
};

static void web_gate(struct web *w)
{
    pthread_mutex_lock(&w->lock);
    w->waiting++;
    pthread_cond_broadcast(&w->changed);
    while (w->held && !w->stopping)
        pthread_cond_wait(&w->changed, &w->lock);
    w->waiting--;
    pthread_mutex_unlock(&w->lock);
}

/* All of the request: the head, and as much body as it says. */
static bool web_read(int fd, char *buf, size_t size)
{
    size_t n = 0;

    for (;;) {
        const char *end, *length;
        ssize_t got;

        buf[n] = '\0';
        end = strstr(buf, "\r\n\r\n");
        length = strcasestr(buf, "content-length: ");
        if (end && (!length || n >= (size_t)(end + 4 - buf) + strtoul(length + 16, NULL, 10)))
            return true;
        if (n + 1 >= size)
            return false;
        got = read(fd, buf + n, size - n - 1);
        if (got <= 0)
            return false;
        n += (size_t)got;
    }
}

static void *web_serve(void *arg)
{
    struct web_connection *c = arg;
    char *request = rk_alloc(65536);
    struct rk_buf out;

    rk_buf_init(&out, 8 << 20);
    if (web_read(c->fd, request, 65536)) {
        atomic_fetch_add(&c->w->hits, 1);
        c->w->answer(c->w, request, &out);
        web_gate(c->w);
        for (size_t at = 0; at < out.n;) {
            ssize_t n = send(c->fd, out.p + at, out.n - at, MSG_NOSIGNAL);

            if (n <= 0)
                break;
            at += (size_t)n;
        }
    }
    close(c->fd);
    rk_buf_done(&out);
    rk_free(request);
    rk_free(c);
    return NULL;
}

static void *web_accept(void *arg)
{
    struct web *w = arg;
    int fd;

    while ((fd = accept(w->fd, NULL, NULL)) >= 0 && w->n < WEB_CONNECTIONS) {
        struct web_connection *c = rk_new(struct web_connection);

        c->w = w;
        c->fd = fd;
        pthread_create(&w->each[w->n++], NULL, web_serve, c);
    }
    return NULL;
}

static RK_UNUSED struct web *web_new(web_answer_fn *answer, void *arg)
{
    struct web *w = rk_new(struct web);
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t n = sizeof(a);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->answer = answer;
    w->arg = arg;
    w->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(w->fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(w->fd, 64), 0);
    assert_int_equal(getsockname(w->fd, (struct sockaddr *)&a, &n), 0);
    w->port = ntohs(a.sin_port);
    snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u", w->port);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    pthread_create(&w->thread, NULL, web_accept, w);
    return w;
}

/* Answers wait from now on, or no longer. */
static RK_UNUSED void web_hold(struct web *w, bool held)
{
    pthread_mutex_lock(&w->lock);
    w->held = held;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* Returns when that many requests have come and wait for their answers. */
static RK_UNUSED void web_until_waiting(struct web *w, unsigned n)
{
    pthread_mutex_lock(&w->lock);
    while (w->waiting < n)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static RK_UNUSED void web_free(struct web *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    shutdown(w->fd, SHUT_RDWR);
    pthread_join(w->thread, NULL);
    for (size_t i = 0; i < w->n; i++)
        pthread_join(w->each[i], NULL);
    close(w->fd);
    rk_free(w);
}
RK_DEFINE_AUTO(struct web, web_free)

/* A plain answer. `headers` end with CRLF each. */
static RK_UNUSED void
web_reply(struct rk_buf *out, int status, const char *headers, const char *body)
{
    rk_buf_printf(out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body),
                  headers, body);
}
