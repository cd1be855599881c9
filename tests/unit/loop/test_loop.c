/* Deferred and posted tasks, timers and stop. Nothing here waits for a time to pass: what must not
 * wait is watched by a turn that may not block. Runs under the thread sanitizer. */

#include "libcommon/loop/loop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "tests/support/test.h"

#define MAX_LOG 64

/* Writes its letter when it runs, and then does what it was told. */
struct step {
    struct rk_task task;
    struct life *life;
    char letter;
    struct step *then; /* deferred by this one; may be itself */
    unsigned again;    /* as often */
    bool stop;
};

struct life {
    struct rk_loop *loop;
    struct step *steps; /* of the timer */
    struct rk_timer timer;
    bool timer_closed;
    char log[MAX_LOG];
    unsigned n;
};

static void note(struct life *f, char c)
{
    assert_in_range(f->n, 0, MAX_LOG - 2);
    f->log[f->n++] = c;
    f->log[f->n] = '\0';
}

static void run_step(struct rk_task *t)
{
    struct step *s = rk_container_of(t, struct step, task);

    assert_true(rk_list_empty(&t->node)); /* off every queue */
    note(s->life, s->letter);
    if (s->then && s->again > 0) {
        s->again--;
        rk_loop_defer(s->life->loop, &s->then->task);
        note(s->life, '.'); /* nothing ran inside */
    }
    if (s->stop)
        rk_loop_stop(s->life->loop);
}

static struct step step(struct life *f, char letter)
{
    struct step s = { .life = f, .letter = letter };

    s.task.run = run_step;
    return s;
}

/* A copy made by value has its links set here. */
static struct rk_task *task(struct step *s)
{
    rk_list_init(&s->task.node);
    return &s->task;
}

static int setup(void **state)
{
    struct life *f = rk_new(struct life);

    f->loop = rk_loop_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct life *f = *state;

    rk_loop_free(f->loop);
    free(f);
    return 0;
}

static void deferred_tasks_run_in_order_and_not_inside_the_caller(void **state)
{
    struct life *f = *state;
    struct step a = step(f, 'a'), b = step(f, 'b'), c = step(f, 'c');

    a.then = &c;
    a.again = 1;
    b.stop = true;
    rk_list_init(&c.task.node);
    rk_loop_defer(f->loop, task(&a));
    rk_loop_defer(f->loop, task(&b));
    assert_int_equal(f->n, 0);
    rk_loop_run(f->loop);
    assert_string_equal(f->log, "a.bc");
}

static void a_turn_does_not_wait_while_something_is_deferred(void **state)
{
    struct life *f = *state;
    struct step a = step(f, 'a');

    a.then = &a;
    a.again = 10;
    rk_loop_defer(f->loop, task(&a));
    /* Each of these would sleep for ever: nothing else is going on in this loop. */
    for (int turn = 0; f->n < 21; turn++) {
        assert_in_range(turn, 0, 10);
        uv_run(rk_loop_uv(f->loop), UV_RUN_ONCE);
    }
    assert_int_equal(a.again, 0);
}

static void a_crowd_that_speaks_at_once_is_answered_bit_by_bit(void **state)
{
    struct life *f = *state;
    struct step a = step(f, 'a'), b = step(f, 'b');

    a.then = &b;
    a.again = 1;
    rk_list_init(&b.task.node);
    rk_loop_defer(f->loop, task(&a));
    for (unsigned i = 0; i + 1 < RK_LOOP_CROWD; i++)
        rk_loop_heard(f->loop);
    assert_string_equal(f->log, "");
    rk_loop_heard(f->loop);
    assert_string_equal(f->log, "a.b"); /* the answer, and its write */
    rk_loop_defer(f->loop, task(&b));
    rk_loop_heard(f->loop);
    assert_string_equal(f->log, "a.b");
    uv_run(rk_loop_uv(f->loop), UV_RUN_ONCE);
    assert_string_equal(f->log, "a.bb");
}

static void on_timer(struct rk_timer *t)
{
    struct life *f = rk_container_of(t, struct life, timer);

    note(f, 't');
    if (f->steps)
        rk_loop_defer(f->loop, &f->steps->task);
}

static void on_timer_closed(struct rk_timer *t)
{
    struct life *f = rk_container_of(t, struct life, timer);

    f->timer_closed = true;
    if (f->steps)
        rk_loop_defer(f->loop, &f->steps->task);
}

static void close_timer(struct life *f)
{
    f->steps = NULL;
    rk_timer_close(&f->timer, on_timer_closed);
    while (!f->timer_closed)
        uv_run(rk_loop_uv(f->loop), UV_RUN_ONCE);
}

static void a_task_deferred_by_a_timer_or_a_close_runs_at_once(void **state)
{
    struct life *f = *state;
    struct step a = step(f, 'a');

    task(&a);
    f->steps = &a;
    rk_timer_init(f->loop, &f->timer, on_timer);
    rk_timer_start(&f->timer, 0, 0);
    uv_run(rk_loop_uv(f->loop), UV_RUN_ONCE);
    assert_string_equal(f->log, "ta");
    rk_timer_close(&f->timer, on_timer_closed);
    uv_run(rk_loop_uv(f->loop), UV_RUN_NOWAIT);
    assert_true(f->timer_closed);
    uv_run(rk_loop_uv(f->loop), UV_RUN_ONCE);
    assert_string_equal(f->log, "taa");
}

static void a_task_that_defers_itself_stops_neither_timers_nor_posts(void **state)
{
    struct life *f = *state;
    struct step self = step(f, 's'), posted = step(f, 'p');

    self.then = &self;
    self.again = 8;
    rk_timer_init(f->loop, &f->timer, on_timer);
    rk_timer_start(&f->timer, 0, 0);
    rk_loop_defer(f->loop, task(&self));
    rk_loop_post(f->loop, task(&posted));
    uv_run(rk_loop_uv(f->loop), UV_RUN_ONCE);
    uv_run(rk_loop_uv(f->loop), UV_RUN_ONCE);
    assert_non_null(strchr(f->log, 't'));
    assert_non_null(strchr(f->log, 'p'));
    assert_true(self.again > 0);
    while (self.again > 0)
        uv_run(rk_loop_uv(f->loop), UV_RUN_ONCE);
    close_timer(f);
}

static void what_was_deferred_before_a_stop_still_runs(void **state)
{
    struct life *f = *state;
    struct step a = step(f, 'a');

    rk_loop_defer(f->loop, task(&a));
    rk_loop_stop(f->loop);
    rk_loop_run(f->loop);
    assert_string_equal(f->log, "a");
    /* The loop can be run again. */
    a.stop = true;
    rk_loop_defer(f->loop, task(&a));
    rk_loop_run(f->loop);
    assert_string_equal(f->log, "aa");
}

static void a_stopped_timer_is_silent_and_a_restarted_one_fires_once(void **state)
{
    struct life *f = *state;

    rk_timer_init(f->loop, &f->timer, on_timer);
    rk_timer_start(&f->timer, 0, 0);
    rk_timer_stop(&f->timer);
    uv_run(rk_loop_uv(f->loop), UV_RUN_NOWAIT);
    assert_int_equal(f->n, 0);
    rk_timer_start(&f->timer, 1000000, 0);
    rk_timer_start(&f->timer, 0, 0);
    uv_run(rk_loop_uv(f->loop), UV_RUN_NOWAIT);
    uv_run(rk_loop_uv(f->loop), UV_RUN_NOWAIT);
    assert_string_equal(f->log, "t");
    /* Closed while it runs: never again, and closing twice is once. */
    rk_timer_start(&f->timer, 0, 0);
    rk_timer_close(&f->timer, on_timer_closed);
    close_timer(f);
    assert_string_equal(f->log, "t");
}

/* --- threads --- */

#define THREADS 4
#define POSTS 2000

struct post {
    struct rk_task task;
    struct poster *from;
    unsigned number;
};

struct poster {
    pthread_t thread;
    struct rk_loop *loop;
    struct post posts[POSTS];
    unsigned seen;
    unsigned *finished;
};

static void run_post(struct rk_task *t)
{
    struct post *p = rk_container_of(t, struct post, task);

    assert_int_equal(p->number, p->from->seen); /* in the order of posting */
    if (++p->from->seen == POSTS && ++*p->from->finished == THREADS)
        rk_loop_stop(p->from->loop);
}

static void *post_all(void *arg)
{
    struct poster *p = arg;

    for (unsigned i = 0; i < POSTS; i++) {
        p->posts[i] = (struct post){ .from = p, .number = i };
        p->posts[i].task.run = run_post;
        rk_list_init(&p->posts[i].task.node);
        rk_loop_post(p->loop, &p->posts[i].task);
    }
    return NULL;
}

static void posts_of_every_thread_arrive_once_and_in_their_order(void **state)
{
    struct life *f = *state;
    struct poster *p = rk_new_array(struct poster, THREADS);
    unsigned finished = 0;

    for (int i = 0; i < THREADS; i++) {
        p[i].loop = f->loop;
        p[i].finished = &finished;
        assert_int_equal(pthread_create(&p[i].thread, NULL, post_all, &p[i]), 0);
    }
    rk_loop_run(f->loop);
    for (int i = 0; i < THREADS; i++)
        pthread_join(p[i].thread, NULL);
    assert_int_equal(finished, THREADS);
    free(p);
}

static void *stop_from_afar(void *arg)
{
    rk_loop_stop(arg);
    return NULL;
}

static void any_thread_may_stop_the_loop(void **state)
{
    struct life *f = *state;
    pthread_t t;

    assert_int_equal(pthread_create(&t, NULL, stop_from_afar, f->loop), 0);
    rk_loop_run(f->loop);
    pthread_join(t, NULL);
}

/* --- signals, in a process of their own --- */

static void term(void *arg)
{
    struct life *f = arg;

    note(f, 't');
    if (f->steps)
        rk_loop_stop(f->loop); /* this life has a second part */
    else
        raise(SIGINT);
}

static int signals_in_child(bool twice)
{
    struct life f = { .loop = rk_loop_new() };
    struct step a = step(&f, 'a');

    if (!twice)
        f.steps = &a;
    rk_loop_on_stop(f.loop, term, &f);
    raise(SIGPIPE); /* ignored */
    raise(SIGTERM);
    rk_loop_run(f.loop);
    rk_loop_free(f.loop);
    return strcmp(f.log, "t") == 0 ? 42 : 43;
}

static int status_of_child(bool twice)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(signals_in_child(twice));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void signals_arrive_on_the_loop_and_a_second_one_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(status_of_child(false), 42);
    assert_int_equal(status_of_child(true), 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(deferred_tasks_run_in_order_and_not_inside_the_caller),
        T(a_turn_does_not_wait_while_something_is_deferred),
        T(a_crowd_that_speaks_at_once_is_answered_bit_by_bit),
        T(a_task_deferred_by_a_timer_or_a_close_runs_at_once),
        T(a_task_that_defers_itself_stops_neither_timers_nor_posts),
        T(what_was_deferred_before_a_stop_still_runs),
        T(a_stopped_timer_is_silent_and_a_restarted_one_fires_once),
        T(posts_of_every_thread_arrive_once_and_in_their_order),
        T(any_thread_may_stop_the_loop),
        cmocka_unit_test(signals_arrive_on_the_loop_and_a_second_one_ends_the_process),
    };

    return RUN_TESTS(tests);
}
