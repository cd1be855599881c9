/*
 * Maps are compiled from one snapshot by several threads at once: nothing in it may be made on
 * first use. Under the thread sanitizer a race fails; in every build the bytes are those that one
 * thread makes.
 */

#include "tests/support/test.h"

#include <pthread.h>

#include "libcommon/account/compile/compile.h"
#include "tests/support/random_life.h"

enum {
    THREADS = 4,
    LIVES = 20
};

struct shared {
    struct rk_snapshot *s;
    pthread_barrier_t together;
    struct rk_buf classic[PEERS], components[PEERS]; /* what one thread makes, by index */
};

struct maker {
    pthread_t thread;
    struct shared *shared;
    size_t different;
};

typedef void compile_fn(const struct rk_snapshot *s, size_t i, int64_t now, struct rk_buf *out);

static bool same(compile_fn *compile, const struct shared *sh, size_t i, const struct rk_buf *want)
{
    rk_auto(rk_buf_done) struct rk_buf b;

    rk_buf_init(&b, 1 << 24);
    compile(sh->s, i, NOW_US, &b);
    return b.n == want->n && (b.n == 0 || memcmp(b.p, want->p, b.n) == 0);
}

static void *make_all(void *arg)
{
    struct maker *m = arg;
    struct shared *sh = m->shared;

    (void)pthread_barrier_wait(&sh->together);
    for (size_t i = 0; i < PEERS; i++) {
        if (!rk_snapshot_peer(sh->s, i))
            continue;
        m->different += !same(rk_compile_map, sh, i, &sh->classic[i]);
        m->different += !same(rk_compile_components, sh, i, &sh->components[i]);
    }
    return NULL;
}

/* The snapshot is fresh for the threads; the truth is of a twin. */
static void truth(const struct world *w, struct shared *sh)
{
    rk_auto(rk_delta_free) struct rk_delta *d = full_of(w);
    rk_auto(rk_snapshot_unref) struct rk_snapshot *twin = rk_snapshot_apply(NULL, d);

    for (size_t i = 0; i < PEERS; i++) {
        rk_buf_init(&sh->classic[i], 1 << 24);
        rk_buf_init(&sh->components[i], 1 << 24);
        if (!rk_snapshot_peer(twin, i))
            continue;
        rk_compile_map(twin, i, NOW_US, &sh->classic[i]);
        rk_compile_components(twin, i, NOW_US, &sh->components[i]);
    }
}

static void live(struct world *w)
{
    rk_auto(rk_delta_free) struct rk_delta *d = full_of(w);
    struct maker makers[THREADS];
    struct shared sh = { .s = rk_snapshot_apply(NULL, d) };

    truth(w, &sh);
    assert_int_equal(pthread_barrier_init(&sh.together, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        makers[i] = (struct maker){ .shared = &sh };
        assert_int_equal(pthread_create(&makers[i].thread, NULL, make_all, &makers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(makers[i].thread, NULL);
        assert_int_equal(makers[i].different, 0);
    }
    pthread_barrier_destroy(&sh.together);
    for (size_t i = 0; i < PEERS; i++) {
        rk_buf_done(&sh.classic[i]);
        rk_buf_done(&sh.components[i]);
    }
    rk_snapshot_unref(sh.s);
}

static void many_threads_make_what_one_does(void **state)
{
    (void)state;
    random_seed = given("ROOKERY_TEST_SEED", random_seed);
    for (int i = 0; i < LIVES; i++) {
        struct world w = { .account = rows_account() };

        for (unsigned k = 0; k < 80; k++)
            rk_delta_free(some_changes(&w));
        live(&w);
        world_done(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_make_what_one_does),
    };

    return RUN_TESTS(tests);
}
