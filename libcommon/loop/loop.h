#pragma once

/*
 * One libuv loop on one thread, a way to post whole jobs to it from other threads, timers, and stop
 * signals. Loop thread only, unless a function says "any thread".
 */

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/list.h"

struct rk_loop;

/* A piece of work handed to a loop; embed it. It is off every queue when `run` is called. */
struct rk_task {
    struct rk_list node;
    void (*run)(struct rk_task *t);
};

struct rk_loop *rk_loop_new(void);
void rk_loop_free(struct rk_loop *l); /* after rk_loop_run returned; every handle must be closed */
uv_loop_t *rk_loop_uv(struct rk_loop *l);

/* Until rk_loop_stop, whatever handles are open then or not. The thread has short slices of its
 * core from then on (slice.h). */
void rk_loop_run(struct rk_loop *l);
void rk_loop_stop(struct rk_loop *l); /* any thread; the run returns after the current turn */

/* Any thread, never blocks: `t->run` is called on the loop thread, in the order of posting. */
void rk_loop_post(struct rk_loop *l, struct rk_task *t);
/* Loop thread, and cheap: `t->run` once what runs now has returned (so that a completion never
 * fires inside the call that accepted it), in the order of deferring, on this turn or the next. */
void rk_loop_defer(struct rk_loop *l, struct rk_task *t);
/* What a socket brought has been dealt with, and nothing of the caller's is under way any more. Of
 * a crowd that speaks at once, what some have deferred is run before the next are listened to:
 * their answers leave while what they are made of is in the caches. */
#define RK_LOOP_CROWD 64
void rk_loop_heard(struct rk_loop *l);

/* Timer inside its owner; `on_timer` may free the owner only after rk_timer_close's callback. */
struct rk_timer {
    uv_timer_t uv;
    void (*on_timer)(struct rk_timer *t);
    void (*on_closed)(struct rk_timer *t);
};
void rk_timer_init(struct rk_loop *l, struct rk_timer *t, void (*on_timer)(struct rk_timer *t));
void rk_timer_start(struct rk_timer *t,
                    uint64_t after_ms,
                    uint64_t repeat_ms); /* restarts when running */
void rk_timer_stop(struct rk_timer *t);
void rk_timer_close(struct rk_timer *t,
                    void (*on_closed)(struct rk_timer *t)); /* on_closed may be NULL */

/* SIGTERM and SIGINT on this loop: first calls on_stop, a second signal exits the process with
 * status 1. SIGPIPE ignored. */
void rk_loop_on_stop(struct rk_loop *l, void (*on_stop)(void *arg), void *arg);
