#include "tools/doctor/doctor.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"

struct running {
    struct check check; /* its thread's, until it is through */
    struct check late;  /* told in its place when it is not */
    struct doctor *doctor;
    pthread_t thread;
    bool through;
};

struct doctor {
    const struct config *config;
    const char *ca_file;
    struct running *running[DOCTOR_CHECKS_MAX];
    unsigned count;
    unsigned left_behind;
    pthread_mutex_t lock; /* of every `through` */
    pthread_cond_t one_is_through;
};

struct doctor *doctor_new(const struct config *config, const char *ca_file)
{
    struct doctor *d = rk_new(struct doctor);
    pthread_condattr_t attr;

    d->config = config;
    d->ca_file = ca_file;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&d->one_is_through, &attr);
    pthread_condattr_destroy(&attr);
    return d;
}

bool doctor_add(struct doctor *d,
                const char *topic,
                const char *subject,
                const char *arg,
                void (*run)(struct check *c))
{
    struct running *r;

    if (d->count == DOCTOR_CHECKS_MAX)
        return false;
    r = rk_new(struct running);
    r->doctor = d;
    check_init(&r->check, topic, subject, arg);
    r->check.config = d->config;
    r->check.ca_file = d->ca_file;
    r->check.run = run;
    check_init(&r->late, topic, subject, "");
    d->running[d->count++] = r;
    return true;
}

static void *work(void *arg)
{
    struct running *r = arg;
    struct doctor *d = r->doctor;

    r->check.run(&r->check);
    pthread_mutex_lock(&d->lock);
    r->through = true;
    pthread_cond_broadcast(&d->one_is_through);
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

static struct timespec deadline(void)
{
    uint64_t ns = rk_mono_ns() + DOCTOR_LIMIT_MS * UINT64_C(1000000);

    return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000),
                              .tv_nsec = (long)(ns % 1000000000) };
}

static bool wait_for(struct doctor *d, struct running *r, const struct timespec *until)
{
    bool through;
    int e = 0;

    pthread_mutex_lock(&d->lock);
    while (!r->through && e == 0)
        e = pthread_cond_timedwait(&d->one_is_through, &d->lock, until);
    through = r->through;
    pthread_mutex_unlock(&d->lock);
    return through;
}

void doctor_run(struct doctor *d, void (*tell)(const struct check *c, void *arg), void *arg)
{
    struct timespec until = deadline();

    for (unsigned i = 0; i < d->count; i++)
        if (pthread_create(&d->running[i]->thread, NULL, work, d->running[i]) != 0)
            abort(); /* out of threads: nothing can be said */
    for (unsigned i = 0; i < d->count; i++) {
        struct running *r = d->running[i];

        if (wait_for(d, r, &until)) {
            pthread_join(r->thread, NULL);
            tell(&r->check, arg);
            continue;
        }
        d->left_behind++;
        check_say(&r->late, VERDICT_FAIL, r->late.topic,
                  "it takes connections and does not answer, or its name is not resolved: look at "
                  "its load and at the name servers",
                  "no result after %d s", DOCTOR_LIMIT_MS / 1000);
        tell(&r->late, arg);
    }
}

const struct check *doctor_each(const struct doctor *d, unsigned *at)
{
    const struct running *r;

    if (*at >= d->count)
        return NULL;
    r = d->running[(*at)++];
    return r->late.findings > 0 ? &r->late : &r->check;
}

void doctor_free(struct doctor *d)
{
    if (d->left_behind > 0)
        return;
    for (unsigned i = 0; i < d->count; i++) {
        check_done(&d->running[i]->check);
        check_done(&d->running[i]->late);
        free(d->running[i]);
    }
    pthread_cond_destroy(&d->one_is_through);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
