/* hiredis events over uv_poll. */

#include "libcommon/rds/link.h"

#include <stdlib.h>

#include "libcommon/base/alloc.h"

struct link {
    uv_poll_t poll;
    redisAsyncContext *ac;
    int events;
    void (*on_closed)(void *arg);
    void *arg;
};

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct link *k = h->data;

    /* A failed poll is reported as readable: hiredis then reads the socket's own error. Either call
     * may free the context. */
    if ((events & UV_READABLE || status < 0) && k->ac)
        redisAsyncHandleRead(k->ac);
    if ((events & UV_WRITABLE) && k->ac)
        redisAsyncHandleWrite(k->ac);
}

static void want(struct link *k, int events)
{
    if (events == k->events)
        return;
    k->events = events;
    if (events)
        uv_poll_start(&k->poll, events, on_poll);
    else
        uv_poll_stop(&k->poll);
}

static void add_read(void *p)
{
    struct link *k = p;

    want(k, k->events | UV_READABLE);
}

static void del_read(void *p)
{
    struct link *k = p;

    want(k, k->events & ~UV_READABLE);
}

static void add_write(void *p)
{
    struct link *k = p;

    want(k, k->events | UV_WRITABLE);
}

static void del_write(void *p)
{
    struct link *k = p;

    want(k, k->events & ~UV_WRITABLE);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct link *k = h->data;

    k->on_closed(k->arg);
    free(k);
}

/* hiredis is about to close the socket. */
static void cleanup(void *p)
{
    struct link *k = p;

    k->ac = NULL;
    uv_close((uv_handle_t *)&k->poll, on_handle_closed);
}

int link_attach(struct rk_loop *l, redisAsyncContext *ac, void (*on_closed)(void *arg), void *arg)
{
    struct link *k = rk_new(struct link);

    if (uv_poll_init(rk_loop_uv(l), &k->poll, ac->c.fd) < 0) {
        free(k);
        return -1;
    }
    k->poll.data = k;
    k->ac = ac;
    k->on_closed = on_closed;
    k->arg = arg;
    ac->ev.data = k;
    ac->ev.addRead = add_read;
    ac->ev.delRead = del_read;
    ac->ev.addWrite = add_write;
    ac->ev.delWrite = del_write;
    ac->ev.cleanup = cleanup;
    return 0;
}
