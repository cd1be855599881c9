/* Jobs cross whole: run on a worker, done on the loop, none lost, the bound holds. Runs under the
 * thread sanitizer. */

#include "libcommon/loop/workers.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
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

static const struct rk_workers_ops ops = { .open = open_worker, .close = close_worker };

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

struct chain {
    struct count count;
    struct rk_workers *w;
    bool went_on;
};

static void go_on(struct rk_job *j)
{
    struct chain *c = rk_container_of(j, struct chain, count.job);

    c->went_on = rk_workers_submit(c->w, c->count.loop, j);
    rk_loop_stop(c->count.loop);
}

static void what_comes_back_after_the_end_does_not_go_on(void **state)
{
    struct rk_loop *l = rk_loop_new();
    struct rk_workers *w = rk_workers_new(1, JOBS, &ops, NULL);
    struct chain c = { { .job = { .run = run, .done = go_on }, .loop = l }, w, true };

    (void)state;
    assert_true(rk_workers_submit(w, l, &c.count.job));
    rk_workers_stop(w);
    rk_loop_run(l);
    assert_false(c.went_on);
    rk_workers_free(w);
    rk_loop_free(l);
}

/* --- a worker that stands still until it is let go --- */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned waiting; /* jobs that stand at the gate */
    bool open;
};

struct gated {
    struct rk_job job;
    struct gate *gate;
    struct rk_loop *loop;
    unsigned *left; /* until the loop stops */
    pthread_t ran_on, done_on;
};

static void pass(struct rk_job *j, void *worker)
{
    struct gated *g = rk_container_of(j, struct gated, job);

    (void)worker;
    g->ran_on = pthread_self();
    pthread_mutex_lock(&g->gate->lock);
    g->gate->waiting++;
    pthread_cond_broadcast(&g->gate->change);
    while (!g->gate->open)
        pthread_cond_wait(&g->gate->change, &g->gate->lock);
    pthread_mutex_unlock(&g->gate->lock);
}

static void passed(struct rk_job *j)
{
    struct gated *g = rk_container_of(j, struct gated, job);

    g->done_on = pthread_self();
    assert_false(j->refused);
    if (--*g->left == 0)
        rk_loop_stop(g->loop);
}

static void a_full_queue_says_so_and_takes_nothing(void **state)
{
    struct gate gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER };
    struct rk_loop *l = rk_loop_new();
    struct rk_workers *w = rk_workers_new(2, 3, &ops, NULL);
    struct gated jobs[6];
    unsigned left = 5;

    (void)state;
    for (int i = 0; i < 6; i++)
        jobs[i] = (struct gated){
            .job = { .run = pass, .done = passed }, .gate = &gate, .loop = l, .left = &left
        };
    /* Two are with the workers, three wait. */
    for (int i = 0; i < 2; i++)
        assert_true(rk_workers_submit(w, l, &jobs[i].job));
    pthread_mutex_lock(&gate.lock);
    while (gate.waiting < 2)
        pthread_cond_wait(&gate.change, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    for (int i = 2; i < 5; i++)
        assert_true(rk_workers_submit(w, l, &jobs[i].job));
    assert_int_equal(rk_workers_queued(w), 3);
    assert_false(rk_workers_submit(w, l, &jobs[5].job));
    assert_int_equal(rk_workers_queued(w), 3);
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.change);
    pthread_mutex_unlock(&gate.lock);
    rk_loop_run(l);
    assert_int_equal(left, 0);
    assert_int_equal(rk_workers_queued(w), 0);
    for (int i = 0; i < 5; i++) {
        assert_true(pthread_equal(jobs[i].done_on, pthread_self()));
        assert_false(pthread_equal(jobs[i].ran_on, pthread_self()));
    }
    /* There is room again. */
    left = 1;
    assert_true(rk_workers_submit(w, l, &jobs[5].job));
    rk_loop_run(l);
    assert_int_equal(left, 0);
    rk_workers_free(w);
    rk_loop_free(l);
}

struct turn {
    struct rk_job job;
    int *ran, number;
    unsigned *left;
    struct rk_loop *loop;
};

static void take_turn(struct rk_job *j, void *worker)
{
    struct turn *t = rk_container_of(j, struct turn, job);

    (void)worker;
    *t->ran = *t->ran * 10 + t->number;
}

static void turn_taken(struct rk_job *j)
{
    struct turn *t = rk_container_of(j, struct turn, job);

    if (--*t->left == 0)
        rk_loop_stop(t->loop);
}

static void those_who_go_first_do_and_have_places_of_their_own(void **state)
{
    struct gate gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER };
    struct rk_loop *l = rk_loop_new();
    struct rk_workers *w = rk_workers_new(1, 2, &ops, NULL);
    unsigned left = 5;
    struct gated running = {
        .job = { .run = pass, .done = passed }, .gate = &gate, .loop = l, .left = &left
    };
    struct turn turns[5];
    int ran = 0;

    (void)state;
    for (int i = 0; i < 5; i++)
        turns[i] = (struct turn){ { .run = take_turn, .done = turn_taken }, &ran, i + 1, &left, l };
    assert_true(rk_workers_submit(w, l, &running.job));
    pthread_mutex_lock(&gate.lock);
    while (gate.waiting < 1)
        pthread_cond_wait(&gate.change, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    assert_true(rk_workers_submit(w, l, &turns[0].job));
    assert_false(rk_workers_full(w));
    assert_true(rk_workers_submit(w, l, &turns[1].job));
    assert_true(rk_workers_full(w));
    assert_false(rk_workers_submit(w, l, &turns[4].job));
    assert_true(rk_workers_submit_first(w, l, &turns[2].job));
    assert_true(rk_workers_submit_first(w, l, &turns[3].job));
    assert_false(rk_workers_submit_first(w, l, &turns[4].job));
    assert_int_equal(rk_workers_queued(w), 4);
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.change);
    pthread_mutex_unlock(&gate.lock);
    rk_loop_run(l);
    assert_int_equal(ran, 3412);
    rk_workers_free(w);
    rk_loop_free(l);
}

/* --- contexts --- */

struct contexts {
    pthread_mutex_t lock;
    unsigned open, closed;
    pthread_t opened_on[3];
};

struct context {
    struct contexts *all;
    pthread_t thread;
};

static void *open_context(void *arg)
{
    struct contexts *all = arg;
    struct context *c = rk_new(struct context);

    c->all = all;
    c->thread = pthread_self();
    pthread_mutex_lock(&all->lock);
    all->opened_on[all->open++] = c->thread;
    pthread_mutex_unlock(&all->lock);
    return c;
}

static void close_context(void *worker)
{
    struct context *c = worker;

    assert_true(pthread_equal(c->thread, pthread_self()));
    pthread_mutex_lock(&c->all->lock);
    c->all->closed++;
    pthread_mutex_unlock(&c->all->lock);
    free(c);
}

static void each_worker_makes_and_ends_its_context_on_its_own_thread(void **state)
{
    static const struct rk_workers_ops context_ops = { .open = open_context,
                                                       .close = close_context };
    struct contexts all = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct rk_workers *w = rk_workers_new(3, 1, &context_ops, &all);

    (void)state;
    rk_workers_free(w);
    assert_int_equal(all.open, 3);
    assert_int_equal(all.closed, 3);
    for (int i = 0; i < 3; i++) {
        assert_false(pthread_equal(all.opened_on[i], pthread_self()));
        assert_false(pthread_equal(all.opened_on[i], all.opened_on[(i + 1) % 3]));
    }
}

static uint64_t after_job(void *worker)
{
    (*(unsigned *)worker)++;
    return 0;
}

/* Two workers: one that is at work while the other has had nothing to do for long. */
struct two {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void *idle; /* a context; NULL: not yet */
    bool home;  /* the first job is */
    struct rk_loop *loop;
    struct rk_job jobs[2];
    void *ran_by[2];
    pid_t thread; /* of the first job */
};
static struct two two = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void *open_one_of_two(void *arg)
{
    (void)arg;
    return rk_new(char);
}

static void be_busy(struct rk_job *j, void *worker)
{
    pthread_mutex_lock(&two.lock);
    two.ran_by[j - two.jobs] = worker;
    two.thread = gettid();
    while (j == two.jobs && !two.idle)
        pthread_cond_wait(&two.changed, &two.lock);
    pthread_mutex_unlock(&two.lock);
}

/* It waits again only after the other does. */
static void be_idle(void *worker)
{
    pthread_mutex_lock(&two.lock);
    if (!two.idle) {
        two.idle = worker;
        pthread_cond_broadcast(&two.changed);
        while (!two.home)
            pthread_cond_wait(&two.changed, &two.lock);
    }
    pthread_mutex_unlock(&two.lock);
}

static void been_busy(struct rk_job *j)
{
    pthread_mutex_lock(&two.lock);
    two.home = true;
    pthread_cond_broadcast(&two.changed);
    pthread_mutex_unlock(&two.lock);
    (void)j;
    rk_loop_stop(two.loop);
}

static void close_one_of_two(void *worker)
{
    free(worker);
}

static void wait_until_asleep(pid_t thread)
{
    char path[64], state = 0;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
    while (state != 'S') {
        FILE *f = fopen(path, "re");

        assert_non_null(f);
        assert_int_equal(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
        (void)fclose(f);
        (void)sched_yield();
    }
}

static void who_has_been_idle_is_woken_last(void **state)
{
    static const struct rk_workers_ops two_ops = { .open = open_one_of_two,
                                                   .close = close_one_of_two,
                                                   .idle = be_idle };
    struct rk_workers *w = rk_workers_new(2, 1, &two_ops, NULL);

    (void)state;
    two.loop = rk_loop_new();
    for (int i = 0; i < 2; i++) {
        two.jobs[i] = (struct rk_job){ .run = be_busy, .done = been_busy };
        assert_true(rk_workers_submit(w, two.loop, &two.jobs[i]));
        rk_loop_run(two.loop);
        wait_until_asleep(two.thread);
    }
    assert_ptr_not_equal(two.ran_by[0], two.idle);
    assert_ptr_equal(two.ran_by[1], two.ran_by[0]);
    rk_workers_free(w);
    rk_loop_free(two.loop);
}

/* Two jobs that run at once, of which the second ends last, and one more. */
struct skilled {
    struct rk_job job;
    struct rk_loop *loop;
    pid_t thread;
    atomic_bool runs, may_end;
};

static void run_skilled(struct rk_job *j, void *worker)
{
    struct skilled *s = rk_container_of(j, struct skilled, job);

    (void)worker;
    s->thread = gettid();
    atomic_store(&s->runs, true);
    while (!atomic_load(&s->may_end))
        (void)sched_yield();
}

static void done_skilled(struct rk_job *j)
{
    rk_loop_stop(rk_container_of(j, struct skilled, job)->loop);
}

static void who_has_done_such_a_job_is_woken_for_it(void **state)
{
    static struct skilled jobs[3];
    struct rk_loop *l = rk_loop_new();
    struct rk_workers *w = rk_workers_new(2, 3, &ops, NULL);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        jobs[i].job = (struct rk_job){ .run = run_skilled, .done = done_skilled };
        jobs[i].job.kind = i == 1 ? 2 : 1;
        jobs[i].loop = l;
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_true(rk_workers_submit(w, l, &jobs[i].job));
        while (!atomic_load(&jobs[i].runs))
            (void)sched_yield();
    }
    for (unsigned i = 0; i < 2; i++) {
        atomic_store(&jobs[i].may_end, true);
        rk_loop_run(l);
        wait_until_asleep(jobs[i].thread);
    }
    atomic_store(&jobs[2].may_end, true);
    assert_true(rk_workers_submit(w, l, &jobs[2].job));
    rk_loop_run(l);
    assert_int_not_equal(jobs[0].thread, jobs[1].thread);
    assert_int_equal(jobs[2].thread, jobs[0].thread); /* the other has waited less */
    rk_workers_free(w);
    rk_loop_free(l);
}

static uint64_t rest_for_good(void *worker)
{
    (void)worker;
    return UINT64_C(3600000000000);
}

static void a_resting_worker_takes_what_goes_first_and_ends_at_once(void **state)
{
    static const struct rk_workers_ops rest_ops = { .open = open_worker,
                                                    .close = close_worker,
                                                    .after = rest_for_good };
    struct rk_loop *l = rk_loop_new();
    struct rk_workers *w = rk_workers_new(1, 4, &rest_ops, NULL);
    unsigned left = 1;
    struct turn turns[3];
    int ran = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        turns[i] = (struct turn){ { .run = take_turn, .done = turn_taken }, &ran, i + 1, &left, l };
    assert_true(rk_workers_submit(w, l, &turns[0].job));
    rk_loop_run(l);
    left = 1;
    assert_true(rk_workers_submit(w, l, &turns[1].job)); /* waits for as long as the rest */
    assert_true(rk_workers_submit_first(w, l, &turns[2].job));
    rk_loop_run(l);
    assert_int_equal(ran, 13);
    left = 1;
    rk_workers_free(w);
    rk_loop_run(l);
    assert_true(turns[1].job.refused);
    rk_loop_free(l);
}

static void a_worker_may_do_something_after_each_job(void **state)
{
    static const struct rk_workers_ops after_ops = { .open = open_worker,
                                                     .close = close_worker,
                                                     .after = after_job };
    static struct count jobs[JOBS];
    struct rk_loop *l = rk_loop_new();
    unsigned finished = 0, after = 0;
    struct rk_workers *w = rk_workers_new(1, JOBS, &after_ops, &after);

    (void)state;
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct count){ { .run = run, .done = done }, &finished, l, 0 };
        assert_true(rk_workers_submit(w, l, &jobs[i].job));
    }
    rk_loop_run(l);
    rk_workers_free(w);
    assert_int_equal(after, JOBS);
    rk_loop_free(l);
}

/* Jobs of lanes: how many run at once, and in which order. */
struct laned {
    struct rk_job job;
    unsigned *done;
    struct rk_loop *loop;
    unsigned turn;
};

#define LANES 3
static struct lane {
    _Atomic unsigned running;
    unsigned turn; /* of the job that must be next; whoever runs has the lane to itself */
} lanes[LANES];

static void run_laned(struct rk_job *j, void *worker)
{
    struct lane *lane = &lanes[j->lane - 1];

    (void)worker;
    assert_int_equal(lane->running++, 0);
    assert_int_equal(lane->turn++, rk_container_of(j, struct laned, job)->turn);
    sched_yield();
    lane->running--;
}

static void done_laned(struct rk_job *j)
{
    struct laned *l = rk_container_of(j, struct laned, job);

    if (++*l->done == JOBS)
        rk_loop_stop(l->loop);
}

static void jobs_of_a_lane_run_one_after_the_other(void **state)
{
    static struct laned jobs[JOBS];
    struct rk_loop *l = rk_loop_new();
    struct rk_workers *w = rk_workers_new(4, JOBS, &ops, NULL);
    unsigned finished = 0;

    (void)state;
    for (unsigned i = 0; i < JOBS; i++) {
        jobs[i] = (struct laned){
            { .run = run_laned, .done = done_laned, .lane = 1 + i % LANES }, &finished, l, i / LANES
        };
        assert_true(rk_workers_submit(w, l, &jobs[i].job));
    }
    rk_loop_run(l);
    assert_int_equal(finished, JOBS);
    rk_workers_free(w);
    rk_loop_free(l);
}

/* A lane that is held up, and who passes it. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void run_gated(struct rk_job *j, void *worker)
{
    (void)j;
    (void)worker;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void run_nothing(struct rk_job *j, void *worker)
{
    (void)j;
    (void)worker;
}

static void done_passing(struct rk_job *j)
{
    struct laned *l = rk_container_of(j, struct laned, job);

    if (l->turn == 0)
        pthread_mutex_unlock(&gate); /* it has passed those of the lane */
    done_laned(j);
}

static void others_pass_a_lane_that_waits(void **state)
{
    static struct laned jobs[JOBS];
    struct rk_loop *l = rk_loop_new();
    struct rk_workers *w = rk_workers_new(2, JOBS, &ops, NULL);
    unsigned finished = 0;

    (void)state;
    pthread_mutex_lock(&gate);
    for (unsigned i = JOBS; i-- > 0;) {
        jobs[i] = (struct laned){
            { .run = run_gated, .done = done_passing, .lane = 1 }, &finished, l, i
        };
        if (i == 0)
            jobs[i].job = (struct rk_job){ .run = run_nothing, .done = done_passing };
        assert_true(rk_workers_submit(w, l, &jobs[i].job));
    }
    rk_loop_run(l);
    assert_int_equal(finished, JOBS);
    rk_workers_free(w);
    rk_loop_free(l);
}

/* The first of a lane takes those along that wait in it. */
static struct rk_workers *taken_from;

static void run_taking(struct rk_job *j, void *worker)
{
    struct rk_job *next;

    (void)worker;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    assert_true(rk_workers_waits(taken_from, j->lane));
    assert_false(rk_workers_waits(taken_from, j->lane + 1));
    assert_null(rk_workers_take(taken_from, j->lane + 1));
    for (unsigned turn = 1; (next = rk_workers_take(taken_from, j->lane)); turn++) {
        assert_int_equal(rk_container_of(next, struct laned, job)->turn, turn);
        rk_job_home(next);
    }
    assert_false(rk_workers_waits(taken_from, j->lane));
}

static void run_never(struct rk_job *j, void *worker)
{
    (void)j;
    (void)worker;
    fail_msg("it was taken along");
}

static void one_of_a_lane_takes_those_along_that_wait(void **state)
{
    static struct laned jobs[JOBS];
    struct rk_loop *l = rk_loop_new();
    unsigned finished = 0;

    (void)state;
    taken_from = rk_workers_new(2, JOBS, &ops, NULL);
    pthread_mutex_lock(&gate);
    for (unsigned i = 0; i < JOBS; i++) {
        jobs[i] = (struct laned){
            { .run = i == 0 ? run_taking : run_never, .done = done_laned, .lane = 1 },
            &finished,
            l,
            i
        };
        assert_true(rk_workers_submit(taken_from, l, &jobs[i].job));
    }
    pthread_mutex_unlock(&gate);
    rk_loop_run(l);
    assert_int_equal(finished, JOBS);
    assert_int_equal(rk_workers_queued(taken_from), 0);
    rk_workers_free(taken_from);
    rk_loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_been_idle_is_woken_last),
        cmocka_unit_test(who_has_done_such_a_job_is_woken_for_it),
        cmocka_unit_test(jobs_of_a_lane_run_one_after_the_other),
        cmocka_unit_test(others_pass_a_lane_that_waits),
        cmocka_unit_test(one_of_a_lane_takes_those_along_that_wait),
        cmocka_unit_test(every_job_comes_back_once),
        cmocka_unit_test(queued_jobs_are_refused_at_the_end_and_still_come_back),
        cmocka_unit_test(what_comes_back_after_the_end_does_not_go_on),
        cmocka_unit_test(a_full_queue_says_so_and_takes_nothing),
        cmocka_unit_test(those_who_go_first_do_and_have_places_of_their_own),
        cmocka_unit_test(each_worker_makes_and_ends_its_context_on_its_own_thread),
        cmocka_unit_test(a_worker_may_do_something_after_each_job),
        cmocka_unit_test(a_resting_worker_takes_what_goes_first_and_ends_at_once),
    };

    return RUN_TESTS(tests);
}
