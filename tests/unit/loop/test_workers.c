/* Jobs cross whole: run on a worker, done on the loop, none lost, the bound holds. Runs under the
 * thread sanitizer. */

#include "libcommon/loop/workers.h"
#include "tests/support/test.h"

#define JOBS 500

struct count {
    struct rk_job job;
    unsigned *done;
    struct rk_loop *loop;
    int value;
};

static void run(struct rk_job *j, void *worker)
{
    (void)worker;
    rk_container_of(j, struct count, job)->value++;
}

static void done(struct rk_job *j)
{
    struct count *c = rk_container_of(j, struct count, job);

    assert_int_equal(c->value, j->refused ? 0 : 1);
    if (++*c->done == JOBS)
        rk_loop_stop(c->loop);
}

static void *open_worker(void *arg)
{
    return arg;
}

static void close_worker(void *worker)
{
    (void)worker;
}

static const struct rk_workers_ops ops = { open_worker, close_worker, NULL };

static void every_job_comes_back_once(void **state)
{
    static struct count jobs[JOBS];
    struct rk_loop *l = rk_loop_new();
    struct rk_workers *w = rk_workers_new(4, JOBS, &ops, NULL);
    unsigned finished = 0;

    (void)state;
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct count){ { .run = run, .done = done }, &finished, l, 0 };
        assert_true(rk_workers_submit(w, l, &jobs[i].job));
    }
    rk_loop_run(l);
    assert_int_equal(finished, JOBS);
    rk_workers_free(w);
    rk_loop_free(l);
}

static void queued_jobs_are_refused_at_the_end_and_still_come_back(void **state)
{
    static struct count jobs[JOBS];
    struct rk_loop *l = rk_loop_new();
    struct rk_workers *w = rk_workers_new(1, JOBS, &ops, NULL);
    unsigned finished = 0;

    (void)state;
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct count){ { .run = run, .done = done }, &finished, l, 0 };
        assert_true(rk_workers_submit(w, l, &jobs[i].job));
    }
    rk_workers_free(w);
    rk_loop_run(l);
    assert_int_equal(finished, JOBS);
    rk_loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_comes_back_once),
        cmocka_unit_test(queued_jobs_are_refused_at_the_end_and_still_come_back),
    };

    return RUN_TESTS(tests);
}
