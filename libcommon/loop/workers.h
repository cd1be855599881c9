#pragma once

/*
 * Workers: threads that take whole jobs and give them back whole. Each worker has its own context
 * (for us: one Postgres connection), made and destroyed on its thread. A job belongs to the pool
 * from rk_workers_submit until `done` runs on the loop it came from.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/list.h"
#include "libcommon/loop/loop.h"

struct rk_workers;

struct rk_job {
    struct rk_task task;                         /* private */
    struct rk_loop *home;                        /* private */
    void (*run)(struct rk_job *j, void *worker); /* worker thread */
    void (*done)(
        struct rk_job *j); /* loop thread; always called, also for jobs refused at shutdown */
    uint64_t lane; /* 0 = none. Of a lane one job runs at a time, in order, however many threads
                      are free: for jobs that would only wait for one another. */
    /* 0 = none. Of the threads that wait, the one is woken that has done a job of this kind last:
     * its context knows how, and has what it needs at hand. */
    unsigned kind;
    bool refused; /* in done: run never happened because the pool was stopping */
};

struct rk_workers_ops {
    void *(*open)(void *arg); /* on the worker's thread */
    void (*close)(void *worker);
    void (*idle)(void *worker); /* about every 10 s without a job; may be NULL */
    /* After a job, which is on its way home already: for how many ns it takes nothing but what goes
     * first. May be NULL. */
    uint64_t (*after)(void *worker);
};

struct rk_workers *
rk_workers_new(unsigned threads, size_t max_queued, const struct rk_workers_ops *ops, void *arg);
/* Finishes running jobs, refuses queued ones and all that come, joins. Loop must still run turns
 * for `done`. Loop thread. */
void rk_workers_stop(struct rk_workers *w);
/* Stops first, where that has not been done. NULL is fine. */
void rk_workers_free(struct rk_workers *w);

/* False when max_queued jobs wait already: the caller answers "try again" (nothing was taken). Loop
 * thread. */
bool rk_workers_submit(struct rk_workers *w, struct rk_loop *home, struct rk_job *j) RK_CHECKED;
/* The same in a queue of its own, of which every job is taken before any of the other. */
bool rk_workers_submit_first(struct rk_workers *w,
                             struct rk_loop *home,
                             struct rk_job *j) RK_CHECKED;
/* For a job that runs, of others in its lane: whether one waits, and the first of them, which is
 * the caller's to run and to send home with rk_job_home; NULL without any. */
bool rk_workers_waits(const struct rk_workers *w, uint64_t lane);
struct rk_job *rk_workers_take(struct rk_workers *w, uint64_t lane);
void rk_job_home(struct rk_job *j);
/* In both queues. */
size_t rk_workers_queued(const struct rk_workers *w);
/* Whether rk_workers_submit would have said false just now. Any thread. */
bool rk_workers_full(const struct rk_workers *w);
