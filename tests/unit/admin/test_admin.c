/*
 * The admin port over real sockets: what a health check gets, what a hostile client gets, and that
 * neither the silent nor the slow keep others out. Clients run in a thread of their own beside the
 * loop.
 */

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/admin/admin.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/attr.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/id.h"
#include "libcommon/conf/addr.h"
#include "libcommon/conf/probe.h"
#include "libcommon/obs/metrics.h"
#include "tests/support/test.h"

static struct rk_metric scraped[] = {
    { .name = "test_scrapes", .help = "Scrapes.", .type = RK_GAUGE }
};

struct fixture {
    struct rk_loop *loop;
    struct rk_admin *admin;
    struct rk_addr addr;
    void (*client)(struct fixture *f);
    struct rk_task task; /* what the client wants done on the loop's thread */
    void (*on_loop)(struct fixture *f);
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool is_done;
    int scrapes;
};

/* --- the client's side --- */

static int dial(struct fixture *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&f->addr.ss, f->addr.len), 0);
    return fd;
}

static void put(int fd, const void *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

/* All until the end of the connection, which must come; a C string to free. */
static char *drain(int fd)
{
    struct rk_buf in;
    char chunk[4096];
    ssize_t n;

    rk_buf_init(&in, (size_t)1 << 20);
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        assert_int_equal(poll(&p, 1, 20000), 1);
        n = recv(fd, chunk, sizeof(chunk), 0);
        if (n <= 0)
            break;
        assert_true(rk_buf_put(&in, chunk, (size_t)n));
    }
    assert_true(rk_buf_put_u8(&in, 0));
    (void)close(fd);
    return (char *)in.p;
}

/* The whole answer to these bytes, after which we say no more. */
static char *ask_n(struct fixture *f, const void *p, size_t n)
{
    int fd = dial(f);

    put(fd, p, n);
    (void)shutdown(fd, SHUT_WR);
    return drain(fd);
}

static char *ask(struct fixture *f, const char *request)
{
    return ask_n(f, request, strlen(request));
}

static void
answers(struct fixture *f, const char *request, const char *begins, const char *contains)
{
    rk_auto(rk_free) char *got = ask(f, request);

    if (strncmp(got, begins, strlen(begins)) != 0 || !strstr(got, contains))
        fail_msg("%s was answered with:\n%s", request, got);
}

/* Runs `what` on the loop's thread and waits for it. */
static void on_loop(struct fixture *f, void (*what)(struct fixture *f))
{
    f->on_loop = what;
    f->is_done = false;
    rk_loop_post(f->loop, &f->task);
    pthread_mutex_lock(&f->lock);
    while (!f->is_done)
        pthread_cond_wait(&f->done, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

static void run_task(struct rk_task *t)
{
    struct fixture *f = rk_container_of(t, struct fixture, task);

    f->on_loop(f);
    pthread_mutex_lock(&f->lock);
    f->is_done = true;
    pthread_cond_signal(&f->done);
    pthread_mutex_unlock(&f->lock);
}

static void end(struct fixture *f)
{
    rk_admin_close(f->admin);
    f->admin = NULL; /* a client may end it itself */
    rk_loop_stop(f->loop);
}

static void *client_thread(void *arg)
{
    struct fixture *f = arg;

    f->client(f);
    if (f->admin)
        on_loop(f, end);
    return NULL;
}

static void on_scrape(void *arg)
{
    struct fixture *f = arg;

    rk_metric_set(&scraped[0], ++f->scrapes);
}

static void run(void (*client)(struct fixture *f), unsigned max_connections, uint64_t timeout_ms)
{
    struct fixture f = { .client = client,
                         .lock = PTHREAD_MUTEX_INITIALIZER,
                         .done = PTHREAD_COND_INITIALIZER };
    pthread_t t;

    f.loop = rk_loop_new();
    f.task.run = run_task;
    assert_int_equal(rk_admin_new(f.loop, "127.0.0.1:0", &f.admin, NULL), 0);
    rk_admin_limit(f.admin, max_connections, timeout_ms);
    rk_admin_on_scrape(f.admin, on_scrape, &f);
    assert_int_equal(rk_addr_parse(rk_str(rk_admin_address(f.admin)), &f.addr, NULL), 0);
    assert_int_equal(pthread_create(&t, NULL, client_thread, &f), 0);
    rk_loop_run(f.loop);
    assert_int_equal(pthread_join(t, NULL), 0);
    rk_loop_free(f.loop);
}

#define PATIENT 64, 20000 /* limits that no test reaches */

/* --- health --- */

static void postgres_is_here(struct fixture *f)
{
    rk_admin_ready(f->admin, "postgres", true, NULL);
    rk_admin_ready(f->admin, "redis", true, NULL);
}

static void postgres_is_away(struct fixture *f)
{
    rk_admin_ready(f->admin, "postgres", false, "connection \"refused\"");
}

static void people_cannot_sign_in(struct fixture *f)
{
    rk_admin_note(f->admin, "sign_in", "\"no\" keys");
    rk_admin_note(f->admin, "other", "");
}

static void people_can_sign_in(struct fixture *f)
{
    rk_admin_note(f->admin, "sign_in", "");
}

static void drains(struct fixture *f)
{
    rk_admin_draining(f->admin);
}

static void asks_for_health(struct fixture *f)
{
    static const char live[] = "GET /livez HTTP/1.1\r\n\r\n",
                      ready[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";

    answers(f, live, "HTTP/1.1 200 OK\r\n", "\r\n\r\n{\"live\":true}\n");
    answers(f, ready, "HTTP/1.1 503 ", "{\"ready\":false,\"reason\":\"starting\"}\n");
    on_loop(f, postgres_is_here);
    answers(f, ready, "HTTP/1.1 200 OK\r\n", "\r\n\r\n{\"ready\":true}\n");
    on_loop(f, people_cannot_sign_in);
    answers(f, ready, "HTTP/1.1 200 OK\r\n",
            "{\"ready\":true,\"notes\":{\"sign_in\":\"\\\"no\\\" keys\"}}\n");
    on_loop(f, people_can_sign_in);
    on_loop(f, postgres_is_away);
    answers(f, ready, "HTTP/1.1 503 ",
            "{\"ready\":false,\"reason\":\"postgres: connection \\\"refused\\\"\"}\n");
    answers(f, live, "HTTP/1.1 200 ", "live");
    on_loop(f, postgres_is_here);
    on_loop(f, drains);
    answers(f, ready, "HTTP/1.1 503 ", "\"reason\":\"draining\"");
    answers(f, live, "HTTP/1.1 200 ", "live");
}

static void health_follows_the_conditions(void **state)
{
    (void)state;
    run(asks_for_health, PATIENT);
}

/* As a container's health check does. */
static void probes(struct fixture *f)
{
    struct rk_err err;
    const char *at = rk_admin_address(f->admin);
    rk_auto(rk_free) char *wildcard = rk_asprintf("0.0.0.0%s", strchr(at, ':'));
    rk_auto(rk_free) char *gone = rk_strdup(at);

    assert_int_equal(rk_probe_ready(at, &err), RK_UNAVAILABLE);
    assert_string_equal(err.msg, "not ready: {\"ready\":false,\"reason\":\"starting\"}");
    on_loop(f, postgres_is_here);
    assert_int_equal(rk_probe_ready(at, &err), 0);
    assert_int_equal(rk_probe_ready(wildcard, &err), 0);
    on_loop(f, drains);
    assert_int_equal(rk_probe_ready(at, &err), RK_UNAVAILABLE);
    assert_int_equal(rk_probe_ready("127.0.0.1:0", &err), RK_INVALID);
    on_loop(f, end);
    assert_int_equal(rk_probe_ready(gone, &err), RK_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "does not answer"));
}

static void a_probe_tells_readiness(void **state)
{
    (void)state;
    run(probes, PATIENT);
}

static void asks_for_metrics(struct fixture *f)
{
    answers(f, "GET /metrics HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n",
            "Content-Type: text/plain; version=0.0.4");
    answers(f, "GET /metrics?name[]=x HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n",
            "\ntest_scrapes 2\n");
    answers(f, "GET /metrics HTTP/1.1\n\n", "HTTP/1.1 200 OK\r\n",
            "# TYPE process_open_fds gauge\n");
}

static void metrics_are_fresh_at_each_scrape(void **state)
{
    (void)state;
    run(asks_for_metrics, PATIENT);
}

static void looks_at_the_form(struct fixture *f)
{
    rk_auto(rk_free) char *got = ask(f, "GET /livez HTTP/1.1\r\n\r\n");
    rk_auto(rk_free) char *head = ask(f, "HEAD /livez HTTP/1.1\r\n\r\n");
    const char *body = strstr(got, "\r\n\r\n"), *length = strstr(got, "Content-Length: ");

    assert_non_null(body);
    assert_non_null(length);
    assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body + 4));
    assert_non_null(strstr(got, "Connection: close\r\n"));
    assert_non_null(strstr(got, "Cache-Control: no-store\r\n"));
    assert_int_equal(strlen(head), (size_t)(body + 4 - got)); /* the same without the body */
    assert_memory_equal(head, got, strlen(head));
}

static void an_answer_says_its_length_and_that_it_is_the_last(void **state)
{
    (void)state;
    run(looks_at_the_form, PATIENT);
}

/* --- hostile and slow clients --- */

static void sends_nonsense(struct fixture *f)
{
    static const struct {
        const char *request, *status;
    } cases[] = {
        { "POST /livez HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 405 " },
        { "DELETE / HTTP/1.1\r\n\r\n", "HTTP/1.1 405 " },
        { "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 " },
        { "GET /livez/ HTTP/1.1\r\n\r\n", "HTTP/1.1 404 " },
        { "GET //livez HTTP/1.1\r\n\r\n", "HTTP/1.1 404 " },
        { "GET /%6civez HTTP/1.1\r\n\r\n", "HTTP/1.1 404 " },
        { "GET livez HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " },
        { "GET http://x/livez HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " },
        { "GET  /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " },
        { "GET /livez\r\n\r\n", "HTTP/1.1 400 " },
        { "GET /livez HTTP/2.0\r\n\r\n", "HTTP/1.1 400 " },
        { "GET /livez HTTP/1.1 x\r\n\r\n", "HTTP/1.1 400 " },
        { "get /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " },
        { "\r\n\r\nGET /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " },
        { "GET /li\x01vez HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " },
        { "GET /\xff\xfe HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " },
        { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 400 " },
        { "\x16\x03\x01\x02", "HTTP/1.1 400 " }, /* TLS */
        { "{}", "HTTP/1.1 400 " },
    };
    uint8_t noise[2000];

    for (size_t i = 0; i < RK_COUNT(cases); i++)
        answers(f, cases[i].request, cases[i].status, "\r\n\r\n");
    answers(f, "PUT /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 405 ", "\r\nAllow: GET, HEAD\r\n");
    for (int i = 0; i < 50; i++) {
        rk_random(noise, sizeof(noise));
        free(ask_n(f, noise, (size_t)rk_random_below(sizeof(noise)) + 1));
    }
    answers(f, "GET /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 200 ", "live"); /* and all is well */
}

static void nonsense_is_refused_and_does_no_harm(void **state)
{
    (void)state;
    run(sends_nonsense, PATIENT);
}

static void sends_too_much(struct fixture *f)
{
    rk_auto(rk_free) char *head = rk_alloc(10001);
    rk_auto(rk_free) char *got = NULL;
    int fd = dial(f);

    (void)snprintf(head, 10001, "GET /livez HTTP/1.1\r\nX: ");
    memset(head + strlen("GET /livez HTTP/1.1\r\nX: "), 'x',
           10000 - strlen("GET /livez HTTP/1.1\r\nX: "));
    head[10000] = 0;
    put(fd, head, 10000);
    got = drain(fd);
    assert_int_equal(strncmp(got, "HTTP/1.1 400 ", 13), 0);
    /* A body that nobody wants does not cost the answer. */
    fd = dial(f);
    put(fd, "POST /livez HTTP/1.1\r\n\r\n", 24);
    put(fd, head, 10000);
    (void)shutdown(fd, SHUT_WR);
    free(got);
    got = drain(fd);
    assert_int_equal(strncmp(got, "HTTP/1.1 405 ", 13), 0);
}

static void a_request_has_a_largest_size(void **state)
{
    (void)state;
    run(sends_too_much, PATIENT);
}

static void sends_in_pieces(struct fixture *f)
{
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    rk_auto(rk_free) char *got = NULL;
    int fd = dial(f), on = 1;

    assert_int_equal(setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on)), 0);
    for (size_t i = 0; i < sizeof(request) - 1; i++)
        put(fd, request + i, 1);
    (void)shutdown(fd, SHUT_WR);
    got = drain(fd);
    assert_int_equal(strncmp(got, "HTTP/1.1 200 ", 13), 0);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    (void)state;
    run(sends_in_pieces, PATIENT);
}

static void hangs_up(struct fixture *f)
{
    static const char *const begun[] = { "", "G", "GET /metrics HTTP/1.1\r\n",
                                         "GET /metrics HTTP/1.1\r\n\r\n" };
    struct linger reset = { .l_onoff = 1 };

    for (int i = 0; i < 200; i++) {
        int fd = dial(f);
        const char *what = begun[i % 4];

        put(fd, what, strlen(what));
        if (i % 8 < 4)
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        (void)close(fd);
    }
    answers(f, "GET /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 200 ", "live");
}

static void clients_may_hang_up_at_any_moment(void **state)
{
    (void)state;
    run(hangs_up, PATIENT);
}

static void says_nothing(struct fixture *f)
{
    int silent = dial(f), half = dial(f), polite = dial(f);
    rk_auto(rk_free) char *got = NULL;

    put(half, "GET /livez HTTP/1.1\r\n", 21);
    put(polite, "GET /livez HTTP/1.1\r\n\r\n", 23); /* and does not hang up after the answer */
    got = drain(silent);
    assert_string_equal(got, "");
    free(got);
    got = drain(half);
    assert_string_equal(got, "");
    free(got);
    got = drain(polite);
    assert_int_equal(strncmp(got, "HTTP/1.1 200 ", 13), 0);
}

static void the_silent_are_hung_up_on_in_time(void **state)
{
    (void)state;
    run(says_nothing, 64, 50);
}

static void holds_many(struct fixture *f)
{
    int held[20];

    for (size_t i = 0; i < RK_COUNT(held); i++)
        held[i] = dial(f);
    /* Far more than there is room for, and a health check still gets its answer. */
    answers(f, "GET /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 200 ", "live");
    free(drain(held[0])); /* the oldest was let go */
    put(held[19], "GET /livez HTTP/1.1\r\n\r\n", 23);
    (void)shutdown(held[19], SHUT_WR);
    free(drain(held[19])); /* a young one is served */
    for (size_t i = 1; i < RK_COUNT(held) - 1; i++)
        (void)close(held[i]);
}

static void whoever_holds_connections_keeps_nobody_out(void **state)
{
    (void)state;
    run(holds_many, 4, 20000);
}

static void closes_while_held(struct fixture *f)
{
    int held = dial(f);

    put(held, "GET /livez HTT", 14);
    answers(f, "GET /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 200 ",
            "live"); /* the held one was accepted before */
    on_loop(f, end);
    free(drain(held));
}

static void closing_the_port_closes_its_connections(void **state)
{
    (void)state;
    run(closes_while_held, PATIENT);
}

static void a_port_that_is_taken_or_no_address_is_said_so(void **state)
{
    struct rk_loop *loop = rk_loop_new();
    struct rk_admin *a, *b = NULL;
    struct rk_err err;

    (void)state;
    assert_int_equal(rk_admin_new(loop, "127.0.0.1:0", &a, NULL), 0);
    assert_int_equal(rk_admin_new(loop, rk_admin_address(a), &b, &err), RK_UNAVAILABLE);
    assert_non_null(strstr(err.msg, rk_admin_address(a)));
    assert_int_equal(rk_admin_new(loop, "nowhere", &b, &err), RK_INVALID);
    assert_null(b);
    rk_admin_close(a);
    rk_admin_close(NULL);
    rk_loop_stop(loop);
    rk_loop_run(loop);
    rk_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_follows_the_conditions),
        cmocka_unit_test(a_probe_tells_readiness),
        cmocka_unit_test(metrics_are_fresh_at_each_scrape),
        cmocka_unit_test(an_answer_says_its_length_and_that_it_is_the_last),
        cmocka_unit_test(nonsense_is_refused_and_does_no_harm),
        cmocka_unit_test(a_request_has_a_largest_size),
        cmocka_unit_test(a_request_may_come_byte_by_byte),
        cmocka_unit_test(clients_may_hang_up_at_any_moment),
        cmocka_unit_test(the_silent_are_hung_up_on_in_time),
        cmocka_unit_test(whoever_holds_connections_keeps_nobody_out),
        cmocka_unit_test(closing_the_port_closes_its_connections),
        cmocka_unit_test(a_port_that_is_taken_or_no_address_is_said_so),
    };

    rk_metrics_register(scraped, RK_COUNT(scraped));
    return RUN_TESTS(tests);
}
