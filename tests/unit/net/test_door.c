/* The door, over loopback sockets: no loop runs here. */

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/net/door.h"
#include "tests/unit/net/fixture.h"

#define H2 "\x02h2"
#define WAIT_MS 10000
#define CROWD 24

struct gate {
    struct fixture *f;
    int listen_fd;
    struct sockaddr_in addr;
    struct rk_door *door;
    pthread_mutex_t lock;
    pthread_cond_t came;
    unsigned guests; /* under the lock, with the last of them */
    struct rk_guest guest;
    int policy; /* of the thread that handed it on */
};

static int setup(void **state)
{
    struct gate *g = rk_new(struct gate);
    socklen_t n = sizeof(g->addr);
    struct rk_err err = { 0 };
    struct pair pair;

    g->f = fixture_new();
    dir_make(g->f);
    pair_make(&pair, "door");
    write_file(path_in(g->f, "cert"), pair.cert);
    write_file(path_in(g->f, "key"), pair.key);
    assert_int_equal(rk_tls_server_new(g->f->loop, path_in(g->f, "cert"), path_in(g->f, "key"), H2,
                                       false, &g->f->tls, &err),
                     0);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->came, NULL);
    g->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    g->addr =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(bind(g->listen_fd, (struct sockaddr *)&g->addr, n), 0);
    assert_int_equal(listen(g->listen_fd, CROWD), 0);
    assert_int_equal(getsockname(g->listen_fd, (struct sockaddr *)&g->addr, &n), 0);
    *state = g;
    return 0;
}

static int teardown(void **state)
{
    struct gate *g = *state;

    rk_door_close(g->door);
    assert_int_equal(close(g->listen_fd), 0);
    dir_remove(g->f);
    fixture_free(g->f);
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->came);
    free(g);
    return 0;
}

static void on_guest(const struct rk_guest *guest, void *arg)
{
    struct gate *g = arg;

    pthread_mutex_lock(&g->lock);
    g->guests++;
    g->guest = *guest;
    g->policy = sched_getscheduler(0);
    pthread_cond_signal(&g->came);
    pthread_mutex_unlock(&g->lock);
}

static void open_door(struct gate *g, struct rk_door_terms terms)
{
    terms.listen_fd = g->listen_fd;
    terms.tls = g->f->tls;
    terms.on_guest = on_guest;
    terms.arg = g;
    g->door = rk_door_open(&terms);
}

static int dial(const struct gate *g)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (const struct sockaddr *)&g->addr, sizeof(g->addr)), 0);
    return fd;
}

static int
on_padding(SSL *ssl, unsigned type, const unsigned char **p, size_t *n, int *al, void *arg)
{
    static const unsigned char padding[60000];

    (void)ssl;
    (void)type;
    (void)al;
    *p = padding;
    *n = *(const size_t *)arg;
    return *n > 0;
}

/* A socket of the kernel's alone, on which a ClientHello waits that has so many bytes in vain. */
static int dial_and_greet_with(const struct gate *g, size_t padding)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    BIO *out = BIO_new(BIO_s_mem());
    int fd = dial(g);
    char *p;
    SSL *ssl;
    long n;

    assert_int_equal(
        SSL_CTX_add_client_custom_ext(ctx, 0xfafa, on_padding, NULL, &padding, NULL, NULL), 1);
    ssl = SSL_new(ctx);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    (void)SSL_set_alpn_protos(ssl, (const unsigned char *)H2, sizeof(H2) - 1);
    assert_true(SSL_connect(ssl) < 0);
    n = BIO_get_mem_data(out, &p);
    assert_int_equal(send(fd, p, (size_t)n, 0), n);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return fd;
}

static int dial_and_greet(const struct gate *g)
{
    return dial_and_greet_with(g, 0);
}

/* A hello of 128 KiB, of which no more comes. */
static int dial_and_announce(const struct gate *g)
{
    static const uint8_t header[] = { 22, 3, 1, 0, 4, 1, 1, 0xff, 0xfc };
    int fd = dial(g);

    assert_int_equal(send(fd, header, sizeof(header), 0), sizeof(header));
    return fd;
}

/* 1: something has come; 0: the other end hung up; -1: neither, in `ms`. */
static int comes(int fd, int ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char c;

    if (poll(&p, 1, ms) != 1)
        return -1;
    return recv(fd, &c, 1, MSG_PEEK) == 1;
}

/* All that the other end says until it hangs up. */
static void drain(int fd)
{
    char bytes[4096];

    while (comes(fd, WAIT_MS) == 1)
        (void)recv(fd, bytes, sizeof(bytes), 0);
    assert_int_equal(comes(fd, WAIT_MS), 0);
}

/* As an agent does, with this protocol; NULL where the server hangs up. */
static SSL *shake(int fd, const char *alpn)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    int r;

    SSL_CTX_free(ctx);
    (void)SSL_set_alpn_protos(ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    SSL_set_fd(ssl, fd);
    r = SSL_connect(ssl);
    ERR_clear_error();
    if (r == 1)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

static void wait_for_guests(struct gate *g, unsigned n)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&g->lock);
    while (g->guests < n)
        assert_int_equal(pthread_cond_timedwait(&g->came, &g->lock, &until), 0);
    pthread_mutex_unlock(&g->lock);
}

/* Comes through, and goes. */
static void visit(struct gate *g)
{
    unsigned guests = g->guests;
    int fd = dial(g);
    SSL *ssl = shake(fd, H2);

    assert_non_null(ssl);
    assert_int_equal(SSL_write(ssl, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), 24);
    wait_for_guests(g, guests + 1);
    SSL_free(g->guest.ssl);
    SSL_free(ssl);
    assert_int_equal(close(g->guest.fd), 0);
    assert_int_equal(close(fd), 0);
}

static void grow_up(struct gate *g)
{
    uint64_t until = rk_mono_ms() + WAIT_MS;

    open_door(g, (struct rk_door_terms){ .young_ms = 1 });
    do
        visit(g);
    while (g->policy != SCHED_BATCH && rk_mono_ms() < until);
}

static void who_has_come_through_is_handed_on_with_what_it_said_first(void **state)
{
    static const char words[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n and more";
    struct gate *g = *state;
    struct sockaddr_in self;
    socklen_t n = sizeof(self);
    int fd = dial(g);
    char text[16];
    SSL *ssl;

    open_door(g, (struct rk_door_terms){ 0 });
    ssl = shake(fd, H2);
    assert_non_null(ssl);
    assert_int_equal(SSL_write(ssl, words, 20), 20);
    assert_int_equal(SSL_write(ssl, words + 20, sizeof(words) - 20), sizeof(words) - 20);
    wait_for_guests(g, 1);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&self, &n), 0);
    assert_int_equal(g->guest.peer.sin6_family, AF_INET);
    assert_int_equal(((const struct sockaddr_in *)&g->guest.peer)->sin_port, self.sin_port);
    assert_memory_equal(g->guest.first, words, RK_DOOR_FIRST);
    assert_int_equal(SSL_read(g->guest.ssl, text, sizeof(text)), sizeof(words) - RK_DOOR_FIRST);
    assert_string_equal(text, " and more");
    assert_int_equal(SSL_write(g->guest.ssl, "welcome", 8), 8);
    assert_int_equal(SSL_read(ssl, text, sizeof(text)), 8);
    assert_string_equal(text, "welcome");
    SSL_free(g->guest.ssl);
    SSL_free(ssl);
    assert_int_equal(close(g->guest.fd), 0);
    assert_int_equal(close(fd), 0);
}

static void who_says_too_little_is_not_let_in(void **state)
{
    struct gate *g = *state;
    int fd = dial(g);
    SSL *ssl;

    open_door(g, (struct rk_door_terms){ .limit_ms = 300 });
    ssl = shake(fd, H2);
    assert_non_null(ssl);
    assert_int_equal(SSL_write(ssl, "PRI * HTTP/2.0\r\n\r\nSM\r\n", 23), 23);
    drain(fd);
    assert_int_equal(g->guests, 0);
    SSL_free(ssl);
    assert_int_equal(close(fd), 0);
}

static void who_speaks_another_protocol_or_no_tls_is_hung_up_on(void **state)
{
    struct gate *g = *state;
    int other = dial(g), plain = dial(g);

    open_door(g, (struct rk_door_terms){ 0 });
    assert_null(shake(other, "\x08http/1.1"));
    assert_int_equal(send(plain, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    drain(plain); /* of an alert */
    assert_int_equal(g->guests, 0);
    assert_int_equal(close(other), 0);
    assert_int_equal(close(plain), 0);
}

static void a_crowd_is_answered_while_nobody_else_runs(void **state)
{
    struct gate *g = *state;
    int fd[CROWD];

    for (unsigned i = 0; i < CROWD; i++)
        fd[i] = dial_and_greet(g);
    open_door(g, (struct rk_door_terms){ 0 });
    for (unsigned i = 0; i < CROWD; i++)
        assert_int_equal(comes(fd[i], WAIT_MS), 1);
    assert_int_equal(g->guests, 0);
    rk_door_close(g->door); /* in the middle of their handshakes */
    g->door = NULL;
    for (unsigned i = 0; i < CROWD; i++)
        assert_int_equal(close(fd[i]), 0);
}

/* They may be in the middle of a handshake, which is then not gone on with. */
static void who_hangs_up_is_let_go(void **state)
{
    struct gate *g = *state;
    int silent = dial(g), begun = dial_and_greet(g), after;

    open_door(g, (struct rk_door_terms){ 0 });
    assert_int_equal(comes(begun, WAIT_MS), 1);
    assert_int_equal(shutdown(silent, SHUT_WR), 0);
    assert_int_equal(shutdown(begun, SHUT_WR), 0);
    drain(silent);
    drain(begun);
    assert_int_equal(close(silent), 0);
    assert_int_equal(close(begun), 0);
    after = dial_and_greet(g);
    assert_int_equal(comes(after, WAIT_MS), 1);
    assert_int_equal(close(after), 0);
}

static void of_those_who_say_nothing_the_oldest_make_room(void **state)
{
    struct gate *g = *state;
    int fd[6], speaks;

    for (unsigned i = 0; i < 6; i++)
        fd[i] = dial(g);
    open_door(g, (struct rk_door_terms){ .max_silent = 4 });
    for (unsigned i = 0; i < 3; i++) /* one more may always come in */
        assert_int_equal(comes(fd[i], WAIT_MS), 0);
    speaks = dial_and_greet(g);
    assert_int_equal(comes(speaks, WAIT_MS), 1);
    for (unsigned i = 4; i < 6; i++)
        assert_int_equal(comes(fd[i], 0), -1);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(close(fd[i]), 0);
    assert_int_equal(close(speaks), 0);
}

static void of_those_who_announce_a_hello_and_do_not_say_it_the_oldest_make_room(void **state)
{
    struct gate *g = *state;
    int fd[RK_DOOR_LEAST + 2], waits = dial_and_greet(g);

    open_door(g, (struct rk_door_terms){
                     .limit_ms = 10 * WAIT_MS, .max_announced = RK_DOOR_LEAST, .max_begun = 1000 });
    assert_int_equal(comes(waits, WAIT_MS), 1);
    for (unsigned i = 0; i < RK_COUNT(fd); i++)
        fd[i] = dial_and_announce(g);
    drain(fd[0]);
    drain(fd[1]);
    shutdown(waits, SHUT_WR); /* it has been let be */
    drain(waits);
    for (unsigned i = 0; i < RK_COUNT(fd); i++)
        assert_int_equal(close(fd[i]), 0);
    assert_int_equal(close(waits), 0);
}

/* So does the oldest where no descriptor is left, however far it is. */
static void no_descriptor_is_left_and_the_oldest_makes_room(void **state)
{
    struct gate *g = *state;
    struct rlimit limit, few;
    int fd[3], heard;

    for (unsigned i = 0; i < RK_COUNT(fd); i++)
        fd[i] = dial_and_announce(g);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = limit;
    few.rlim_cur = (rlim_t)fd[2] + 1 + 2 + 2; /* two of the door's own, and two strangers */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    open_door(g, (struct rk_door_terms){ .limit_ms = 10 * WAIT_MS });
    heard = comes(fd[0], WAIT_MS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(heard, 0);
    for (unsigned i = 0; i < RK_COUNT(fd); i++)
        assert_int_equal(close(fd[i]), 0);
}

static void who_says_a_hello_that_is_too_large_is_hung_up_on(void **state)
{
    struct gate *g = *state;
    int fine = dial_and_greet_with(g, 15000), large = dial_and_greet_with(g, 17000);

    open_door(g, (struct rk_door_terms){ .limit_ms = 10 * WAIT_MS });
    drain(large);
    assert_int_equal(comes(fine, WAIT_MS), 1);
    assert_int_equal(close(fine), 0);
    assert_int_equal(close(large), 0);
}

/* A client that asks for new keys again and again. */
struct flood {
    int fd;
    SSL *ssl;
    BIO *bytes; /* not sent yet */
};

static void flood_begin(struct flood *f, const struct gate *g, unsigned updates)
{
    f->fd = dial(g);
    f->ssl = shake(f->fd, H2);
    assert_non_null(f->ssl);
    f->bytes = BIO_new(BIO_s_mem());
    SSL_set0_wbio(f->ssl, f->bytes);
    for (unsigned i = 0; i < updates; i++) {
        assert_int_equal(SSL_key_update(f->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(f->ssl), 1);
    }
}

static void *flood_say(void *arg)
{
    const struct flood *f = arg;
    long n;
    char *p;

    for (n = BIO_get_mem_data(f->bytes, &p); n > 0;) {
        ssize_t sent = send(f->fd, p, (size_t)n, MSG_NOSIGNAL);

        if (sent <= 0)
            break; /* hung up on */
        p += sent;
        n -= sent;
    }
    return NULL;
}

static void flood_end(struct flood *f)
{
    SSL_free(f->ssl);
    assert_int_equal(close(f->fd), 0);
}

static void who_asks_for_new_keys_without_end_is_hung_up_on(void **state)
{
    struct gate *g = *state;
    struct flood fine, flood;

    open_door(g, (struct rk_door_terms){ .limit_ms = 10 * WAIT_MS });
    flood_begin(&fine, g, RK_TLS_MESSAGES / 2);
    assert_int_equal(SSL_write(fine.ssl, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), 24);
    flood_say(&fine);
    wait_for_guests(g, 1);
    SSL_free(g->guest.ssl);
    assert_int_equal(close(g->guest.fd), 0);
    flood_end(&fine);
    flood_begin(&flood, g, 10000);
    flood_say(&flood);
    drain(flood.fd);
    flood_end(&flood);
}

static void closing_does_not_wait_for_who_asks_for_new_keys(void **state)
{
    struct gate *g = *state;
    struct flood flood;
    pthread_t thread;
    uint64_t from;

    open_door(g, (struct rk_door_terms){ .limit_ms = 10 * WAIT_MS });
    flood_begin(&flood, g, 80000); /* a second of work */
    assert_int_equal(pthread_create(&thread, NULL, flood_say, &flood), 0);
    (void)usleep(20000); /* the door is in the middle of it */
    from = rk_mono_ms();
    rk_door_close(g->door);
    g->door = NULL;
    assert_in_range(rk_mono_ms() - from, 0, 500);
    assert_int_equal(pthread_join(thread, NULL), 0);
    flood_end(&flood);
}

static void who_takes_too_long_is_hung_up_on(void **state)
{
    struct gate *g = *state;
    int silent = dial(g), begun = dial_and_greet(g);

    open_door(g, (struct rk_door_terms){ .limit_ms = 30 });
    assert_int_equal(comes(silent, WAIT_MS), 0);
    drain(begun);
    assert_int_equal(close(silent), 0);
    assert_int_equal(close(begun), 0);
}

static void it_stands_behind_all_others_but_not_in_a_young_process(void **state)
{
    struct gate *g = *state;

    open_door(g, (struct rk_door_terms){ 0 });
    visit(g);
    assert_int_equal(g->policy, sched_getscheduler(0));
    rk_door_close(g->door);
    grow_up(g);
    assert_int_equal(g->policy, SCHED_BATCH);
}

static void those_who_come_to_nothing_wait_for_each_other(void **state)
{
    struct gate *g = *state;
    uint64_t from;

    grow_up(g);
    from = rk_mono_ns();
    for (unsigned i = 0; i < 101; i++) {
        int fd = dial(g);

        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        drain(fd);
        assert_int_equal(close(fd), 0);
    }
    assert_true(rk_mono_ns() - from >= 100 * (uint64_t)RK_DOOR_IN_VAIN_NS);
}

static void strangers_have_one_part_in_so_many(void **state)
{
    const uint64_t now = 1000000000000, ms = 1000000, most = RK_DOOR_PIECE_NS;

    (void)state;
    assert_int_equal(rk_door_due_ns(now, now, now + 3 * ms), now + RK_DOOR_SHARE * 3 * ms);
    /* What was not used is theirs, up to a burst. */
    assert_int_equal(rk_door_due_ns(now - ms, now, now + 3 * ms),
                     now - ms + RK_DOOR_SHARE * 3 * ms);
    assert_int_equal(rk_door_due_ns(0, now, now + 3 * ms),
                     now - RK_DOOR_BURST_NS + RK_DOOR_SHARE * 3 * ms);
    /* The process stood still in the middle of a piece. */
    assert_int_equal(rk_door_due_ns(now, now, now + 60000 * ms), now + RK_DOOR_SHARE * most);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(who_has_come_through_is_handed_on_with_what_it_said_first),
        T(who_says_too_little_is_not_let_in),
        T(who_speaks_another_protocol_or_no_tls_is_hung_up_on),
        T(a_crowd_is_answered_while_nobody_else_runs),
        T(who_hangs_up_is_let_go),
        T(of_those_who_say_nothing_the_oldest_make_room),
        T(of_those_who_announce_a_hello_and_do_not_say_it_the_oldest_make_room),
        T(no_descriptor_is_left_and_the_oldest_makes_room),
        T(who_says_a_hello_that_is_too_large_is_hung_up_on),
        T(who_asks_for_new_keys_without_end_is_hung_up_on),
        T(closing_does_not_wait_for_who_asks_for_new_keys),
        T(who_takes_too_long_is_hung_up_on),
        T(it_stands_behind_all_others_but_not_in_a_young_process),
        T(those_who_come_to_nothing_wait_for_each_other),
        cmocka_unit_test(strangers_have_one_part_in_so_many),
    };

    return RUN_TESTS(tests);
}
