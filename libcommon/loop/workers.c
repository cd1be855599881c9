/* One locked queue, N threads. A job's answer goes home as a posted task. */

#include "libcommon/loop/workers.h"

#include <pthread.h>
#include <time.h>

#include "libcommon/base/alloc.h"

struct rk_workers {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct rk_list queue; /* under lock, like what follows */
    size_t queued;
    bool stopping;
    size_t max_queued;
    struct rk_workers_ops ops;
    void *arg;
    unsigned count;
    pthread_t threads[];
};

#define IDLE_S 10

static void job_home(struct rk_task *t)
{
    struct rk_job *j = rk_container_of(t, struct rk_job, task);

    j->done(j);
}

/* With the lock held; false on a quiet IDLE_S. */
static bool wait_for_work(struct rk_workers *w)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += IDLE_S;
    while (rk_list_empty(&w->queue) && !w->stopping) {
        if (pthread_cond_timedwait(&w->wake, &w->lock, &until) != 0)
            return false;
    }
    return true;
}

static void *work(void *arg)
{
    struct rk_workers *w = arg;
    void *worker = w->ops.open(w->arg);

    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct rk_job *j;
        bool refused;

        if (!wait_for_work(w)) {
            pthread_mutex_unlock(&w->lock);
            if (w->ops.idle)
                w->ops.idle(worker);
            pthread_mutex_lock(&w->lock);
            continue;
        }
        if (rk_list_empty(&w->queue))
            break; /* stopping, and nothing left */
        j = rk_container_of(rk_list_entry(w->queue.next, struct rk_task, node), struct rk_job,
                            task);
        rk_list_remove(&j->task.node);
        w->queued--;
        j->refused = w->stopping;
        pthread_mutex_unlock(&w->lock);
        if (!j->refused)
            j->run(j, worker);
        refused = j->refused;
        rk_loop_post(j->home, &j->task);
        if (w->ops.after && !refused)
            w->ops.after(worker);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    w->ops.close(worker);
    return NULL;
}

struct rk_workers *
rk_workers_new(unsigned threads, size_t max_queued, const struct rk_workers_ops *ops, void *arg)
{
    struct rk_workers *w = rk_zalloc(sizeof(*w) + threads * sizeof(pthread_t));

    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    rk_list_init(&w->queue);
    w->max_queued = max_queued;
    w->ops = *ops;
    w->arg = arg;
    w->count = threads;
    for (unsigned i = 0; i < threads; i++) {
        if (pthread_create(&w->threads[i], NULL, work, w) != 0)
            abort(); /* no threads at start-up */
    }
    return w;
}

void rk_workers_free(struct rk_workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->count; i++)
        pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

bool rk_workers_submit(struct rk_workers *w, struct rk_loop *home, struct rk_job *j)
{
    bool taken;

    j->home = home;
    j->task.run = job_home;
    j->refused = false;
    pthread_mutex_lock(&w->lock);
    taken = w->queued < w->max_queued && !w->stopping;
    if (taken) {
        rk_list_append(&w->queue, &j->task.node);
        w->queued++;
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return taken;
}

/* The lock is not part of what the caller sees. */
static struct rk_workers *writable(const struct rk_workers *w)
{
    return (struct rk_workers *)(uintptr_t)w;
}

size_t rk_workers_queued(const struct rk_workers *w)
{
    size_t n;

    pthread_mutex_lock(&writable(w)->lock);
    n = w->queued;
    pthread_mutex_unlock(&writable(w)->lock);
    return n;
}

bool rk_workers_full(const struct rk_workers *w)
{
    return rk_workers_queued(w) >= w->max_queued;
}
