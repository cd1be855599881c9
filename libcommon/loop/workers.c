/* Two queues under one lock, N threads. A job's answer goes home as a posted task. Of the threads
 * that wait the one that has waited least is woken: what it worked with, here and in its Postgres
 * connection's process, is the warmest. */

#include "libcommon/loop/workers.h"

#include <pthread.h>
#include <time.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/cond.h"

struct queue {
    struct rk_list jobs;
    size_t n;
};

enum {
    FIRST,
    USUAL,
    QUEUES
};

struct thread {
    struct rk_workers *pool;
    pthread_t id;
    pthread_cond_t wake;    /* there is work */
    struct rk_list waiting; /* in the pool's; under lock, like what follows */
    bool cold;              /* it has had nothing to do for IDLE_S */
    uint64_t lane;          /* of the job that runs; 0 = none */
    unsigned kind;          /* of the last job that had one */
};

struct rk_workers {
    pthread_mutex_t lock;
    pthread_cond_t first;       /* there is work, of those who go first */
    struct queue queue[QUEUES]; /* under lock, like what follows */
    struct rk_list waiting;     /* threads, the latest last, the cold in front */
    bool stopping;
    size_t max_queued;
    struct rk_workers_ops ops;
    void *arg;
    unsigned count;
    struct thread threads[];
};

#define IDLE_S 10

static void job_home(struct rk_task *t)
{
    struct rk_job *j = rk_container_of(t, struct rk_job, task);

    j->done(j);
}

/* With the lock held, as what follows. */
static bool lane_runs(const struct rk_workers *w, uint64_t lane)
{
    for (unsigned i = 0; lane != 0 && i < w->count; i++)
        if (w->threads[i].lane == lane)
            return true;
    return false;
}

static struct rk_job *job_of(struct rk_list *node)
{
    return rk_container_of(rk_list_entry(node, struct rk_task, node), struct rk_job, task);
}

/* The first whose lane is free; NULL without any. */
static struct rk_job *next_job(struct rk_workers *w, struct queue **out)
{
    struct rk_list *n, *tmp;

    for (unsigned i = 0; i < QUEUES; i++) {
        *out = &w->queue[i];
        rk_list_each(&w->queue[i].jobs, n, tmp)
        {
            if (w->stopping || !lane_runs(w, job_of(n)->lane))
                return job_of(n);
        }
    }
    return NULL;
}

/* False on a quiet IDLE_S. */
static bool wait_for_work(struct rk_workers *w, struct thread *t)
{
    struct timespec until;
    struct queue *q;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_S;
    while (!next_job(w, &q) && !w->stopping) {
        int r;

        rk_list_append(t->cold ? w->waiting.next : &w->waiting, &t->waiting);
        r = pthread_cond_timedwait(&t->wake, &w->lock, &until);
        rk_list_remove(&t->waiting);
        if (r != 0) {
            t->cold = true;
            return false;
        }
    }
    t->cold = false;
    return true;
}

/* Takes the lock away meanwhile. */
static void rest(struct rk_workers *w, uint64_t ns)
{
    struct timespec until;

    if (ns == 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    while (w->queue[FIRST].n == 0 && !w->stopping)
        if (pthread_cond_timedwait(&w->first, &w->lock, &until) != 0)
            return;
}

static void *work(void *arg)
{
    struct thread *t = arg;
    struct rk_workers *w = t->pool;
    void *worker = w->ops.open(w->arg);

    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct queue *q;
        struct rk_job *j;
        uint64_t rest_ns = 0;
        bool refused;

        if (!wait_for_work(w, t)) {
            pthread_mutex_unlock(&w->lock);
            if (w->ops.idle)
                w->ops.idle(worker);
            pthread_mutex_lock(&w->lock);
            continue;
        }
        j = next_job(w, &q);
        if (!j)
            break; /* stopping, and nothing left */
        t->lane = j->lane;
        t->kind = j->kind ? j->kind : t->kind;
        rk_list_remove(&j->task.node);
        q->n--;
        j->refused = w->stopping;
        pthread_mutex_unlock(&w->lock);
        if (!j->refused)
            j->run(j, worker);
        refused = j->refused;
        rk_job_home(j);
        if (w->ops.after && !refused)
            rest_ns = w->ops.after(worker);
        pthread_mutex_lock(&w->lock);
        t->lane = 0; /* whose next job is this thread's to find, after its rest */
        rest(w, rest_ns);
    }
    pthread_mutex_unlock(&w->lock);
    w->ops.close(worker);
    return NULL;
}

struct rk_workers *
rk_workers_new(unsigned threads, size_t max_queued, const struct rk_workers_ops *ops, void *arg)
{
    struct rk_workers *w = rk_zalloc(sizeof(*w) + threads * sizeof(struct thread));

    pthread_mutex_init(&w->lock, NULL);
    rk_list_init(&w->waiting);
    rk_cond_init(&w->first);
    for (unsigned i = 0; i < QUEUES; i++)
        rk_list_init(&w->queue[i].jobs);
    w->max_queued = max_queued;
    w->ops = *ops;
    w->arg = arg;
    w->count = threads;
    for (unsigned i = 0; i < threads; i++) {
        w->threads[i].pool = w;
        rk_list_init(&w->threads[i].waiting);
        rk_cond_init(&w->threads[i].wake);
        if (pthread_create(&w->threads[i].id, NULL, work, &w->threads[i]) != 0)
            abort(); /* no threads at start-up */
    }
    return w;
}

void rk_workers_stop(struct rk_workers *w)
{
    bool stopped;

    pthread_mutex_lock(&w->lock);
    stopped = w->stopping;
    w->stopping = true;
    for (unsigned i = 0; i < w->count; i++)
        pthread_cond_signal(&w->threads[i].wake);
    pthread_cond_broadcast(&w->first);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; !stopped && i < w->count; i++)
        pthread_join(w->threads[i].id, NULL);
}

void rk_workers_free(struct rk_workers *w)
{
    if (!w)
        return;
    rk_workers_stop(w);
    for (unsigned i = 0; i < w->count; i++)
        pthread_cond_destroy(&w->threads[i].wake);
    pthread_cond_destroy(&w->first);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* Who is woken waits no more, so that the next job wakes another. */
static void wake_one(struct rk_workers *w, unsigned kind)
{
    struct rk_list *n, *tmp;
    struct thread *t;

    if (rk_list_empty(&w->waiting))
        return;
    t = rk_list_entry(w->waiting.prev, struct thread, waiting);
    rk_list_each(&w->waiting, n, tmp)
    {
        if (kind != 0 && rk_list_entry(n, struct thread, waiting)->kind == kind)
            t = rk_list_entry(n, struct thread, waiting);
    }
    rk_list_remove(&t->waiting);
    pthread_cond_signal(&t->wake);
}

static bool submit(struct rk_workers *w, struct queue *q, struct rk_loop *home, struct rk_job *j)
{
    bool taken;

    j->home = home;
    j->task.run = job_home;
    j->refused = false;
    pthread_mutex_lock(&w->lock);
    taken = q->n < w->max_queued && !w->stopping;
    if (taken) {
        rk_list_append(&q->jobs, &j->task.node);
        q->n++;
        if (!lane_runs(w, j->lane)) /* else who runs it finds the next one */
            wake_one(w, j->kind);
        if (q == &w->queue[FIRST])
            pthread_cond_signal(&w->first);
    }
    pthread_mutex_unlock(&w->lock);
    return taken;
}

bool rk_workers_submit(struct rk_workers *w, struct rk_loop *home, struct rk_job *j)
{
    return submit(w, &w->queue[USUAL], home, j);
}

bool rk_workers_submit_first(struct rk_workers *w, struct rk_loop *home, struct rk_job *j)
{
    return submit(w, &w->queue[FIRST], home, j);
}

/* The lock is not part of what the caller sees. */
static struct rk_workers *writable(const struct rk_workers *w)
{
    return (struct rk_workers *)(uintptr_t)w;
}

static struct rk_job *first_of(const struct rk_workers *w, uint64_t lane)
{
    struct rk_list *n, *tmp;

    rk_list_each(&w->queue[USUAL].jobs, n, tmp)
    {
        if (job_of(n)->lane == lane)
            return w->stopping ? NULL : job_of(n);
    }
    return NULL;
}

bool rk_workers_waits(const struct rk_workers *w, uint64_t lane)
{
    bool waits;

    pthread_mutex_lock(&writable(w)->lock);
    waits = first_of(w, lane) != NULL;
    pthread_mutex_unlock(&writable(w)->lock);
    return waits;
}

struct rk_job *rk_workers_take(struct rk_workers *w, uint64_t lane)
{
    struct rk_job *j;

    pthread_mutex_lock(&w->lock);
    j = first_of(w, lane);
    if (j) {
        rk_list_remove(&j->task.node);
        w->queue[USUAL].n--;
    }
    pthread_mutex_unlock(&w->lock);
    return j;
}

void rk_job_home(struct rk_job *j)
{
    rk_loop_post(j->home, &j->task);
}

size_t rk_workers_queued(const struct rk_workers *w)
{
    size_t n;

    pthread_mutex_lock(&writable(w)->lock);
    n = w->queue[FIRST].n + w->queue[USUAL].n;
    pthread_mutex_unlock(&writable(w)->lock);
    return n;
}

bool rk_workers_full(const struct rk_workers *w)
{
    bool full;

    pthread_mutex_lock(&writable(w)->lock);
    full = w->queue[USUAL].n >= w->max_queued;
    pthread_mutex_unlock(&writable(w)->lock);
    return full;
}
