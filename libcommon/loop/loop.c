/*
 * A uv loop with a mailbox: tasks from other threads wait in a locked list that one async handle
 * empties. The loop's own tasks take neither lock nor system call: they wait in a plain list that
 * is run after the sockets were looked at; while it holds something, an idle handle keeps the poll
 * from waiting.
 */

#include "libcommon/loop/loop.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/loop/slice.h"

/* A task may defer another, as the answer to what was read defers the write: that one need not wait
 * for another look at the sockets. Two only, so that a task that defers itself stops nobody. */
#define DEFER_ROUNDS 2

struct rk_loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_check_t after_poll;
    uv_idle_t no_wait; /* runs while `deferred` holds something */
    struct rk_list deferred;
    unsigned heard;           /* since they were run */
    uv_signal_t on_signal[2]; /* TERM, INT */
    bool stop_watched;
    bool stop_seen;
    pthread_mutex_t lock;
    struct rk_list posted; /* under lock */
    bool stopping;         /* under lock */
    void (*on_stop)(void *arg);
    void *stop_arg;
};

/* All of `from` becomes the empty list `to`. */
static void move_all(struct rk_list *from, struct rk_list *to)
{
    rk_list_init(to);
    if (rk_list_empty(from))
        return;
    rk_list_append(from, to); /* the new head stands where the old one did */
    rk_list_remove(from);
}

static void run_all(struct rk_list *batch)
{
    while (!rk_list_empty(batch)) {
        struct rk_task *t = rk_list_entry(batch->next, struct rk_task, node);

        rk_list_remove(&t->node);
        t->run(t);
    }
}

static void run_posted(uv_async_t *wake)
{
    struct rk_loop *l = wake->data;
    struct rk_list batch;
    bool stopping;

    pthread_mutex_lock(&l->lock);
    move_all(&l->posted, &batch);
    stopping = l->stopping;
    pthread_mutex_unlock(&l->lock);
    run_all(&batch);
    if (stopping)
        uv_stop(&l->uv);
}

static void nothing(uv_idle_t *idle)
{
    (void)idle;
}

static void run_deferred(struct rk_loop *l)
{
    struct rk_list batch;

    l->heard = 0;
    for (int i = 0; i < DEFER_ROUNDS && !rk_list_empty(&l->deferred); i++) {
        move_all(&l->deferred, &batch);
        run_all(&batch);
    }
}

static void end_turn(uv_check_t *check)
{
    struct rk_loop *l = check->data;

    run_deferred(l);
    if (rk_list_empty(&l->deferred))
        uv_idle_stop(&l->no_wait);
}

struct rk_loop *rk_loop_new(void)
{
    struct rk_loop *l = rk_new(struct rk_loop);

    if (uv_loop_init(&l->uv) != 0 || uv_async_init(&l->uv, &l->wake, run_posted) != 0)
        abort(); /* no descriptors at start-up */
    uv_check_init(&l->uv, &l->after_poll);
    uv_idle_init(&l->uv, &l->no_wait);
    uv_check_start(&l->after_poll, end_turn);
    l->uv.data = l;
    l->wake.data = l;
    l->after_poll.data = l;
    rk_list_init(&l->deferred);
    pthread_mutex_init(&l->lock, NULL);
    rk_list_init(&l->posted);
    signal(SIGPIPE, SIG_IGN);
    return l;
}

void rk_loop_free(struct rk_loop *l)
{
    if (!l)
        return;
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->after_poll, NULL);
    uv_close((uv_handle_t *)&l->no_wait, NULL);
    if (l->stop_watched) {
        uv_close((uv_handle_t *)&l->on_signal[0], NULL);
        uv_close((uv_handle_t *)&l->on_signal[1], NULL);
    }
    uv_run(&l->uv, UV_RUN_DEFAULT);
    if (uv_loop_close(&l->uv) != 0)
        abort(); /* an owner left a handle open */
    pthread_mutex_destroy(&l->lock);
    free(l);
}

uv_loop_t *rk_loop_uv(struct rk_loop *l)
{
    return &l->uv;
}

void rk_loop_run(struct rk_loop *l)
{
    rk_slice_short();
    uv_run(&l->uv, UV_RUN_DEFAULT);
    pthread_mutex_lock(&l->lock);
    l->stopping = false;
    pthread_mutex_unlock(&l->lock);
}

void rk_loop_stop(struct rk_loop *l)
{
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_mutex_unlock(&l->lock);
    uv_async_send(&l->wake);
}

void rk_loop_post(struct rk_loop *l, struct rk_task *t)
{
    pthread_mutex_lock(&l->lock);
    rk_list_append(&l->posted, &t->node);
    pthread_mutex_unlock(&l->lock);
    uv_async_send(&l->wake);
}

void rk_loop_defer(struct rk_loop *l, struct rk_task *t)
{
    uv_idle_start(&l->no_wait, nothing);
    rk_list_append(&l->deferred, &t->node);
}

void rk_loop_heard(struct rk_loop *l)
{
    if (++l->heard >= RK_LOOP_CROWD)
        run_deferred(l);
}

static void timer_fired(uv_timer_t *uv)
{
    struct rk_timer *t = rk_container_of(uv, struct rk_timer, uv);

    t->on_timer(t);
}

void rk_timer_init(struct rk_loop *l, struct rk_timer *t, void (*on_timer)(struct rk_timer *t))
{
    uv_timer_init(&l->uv, &t->uv);
    t->on_timer = on_timer;
    t->on_closed = NULL;
}

void rk_timer_start(struct rk_timer *t, uint64_t after_ms, uint64_t repeat_ms)
{
    uv_timer_start(&t->uv, timer_fired, after_ms, repeat_ms);
}

void rk_timer_stop(struct rk_timer *t)
{
    uv_timer_stop(&t->uv);
}

static void timer_closed(uv_handle_t *h)
{
    struct rk_timer *t = rk_container_of((uv_timer_t *)h, struct rk_timer, uv);

    if (t->on_closed)
        t->on_closed(t);
}

void rk_timer_close(struct rk_timer *t, void (*on_closed)(struct rk_timer *t))
{
    if (uv_is_closing((uv_handle_t *)&t->uv))
        return;
    t->on_closed = on_closed;
    uv_close((uv_handle_t *)&t->uv, timer_closed);
}

static void stop_signal(uv_signal_t *s, int signum)
{
    struct rk_loop *l = s->data;

    (void)signum;
    if (l->stop_seen)
        _exit(1); /* asked twice: the drain is not wanted */
    l->stop_seen = true;
    l->on_stop(l->stop_arg);
}

static void watch(struct rk_loop *l, unsigned slot, int signum)
{
    uv_signal_init(&l->uv, &l->on_signal[slot]);
    l->on_signal[slot].data = l;
    uv_signal_start(&l->on_signal[slot], stop_signal, signum);
    uv_unref((uv_handle_t *)&l->on_signal[slot]);
}

void rk_loop_on_stop(struct rk_loop *l, void (*on_stop)(void *arg), void *arg)
{
    l->on_stop = on_stop;
    l->stop_arg = arg;
    l->stop_watched = true;
    watch(l, 0, SIGTERM);
    watch(l, 1, SIGINT);
}
