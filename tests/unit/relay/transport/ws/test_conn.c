/* WebSocket connections over a pair of sockets, and a sender that is an array: what a receiver that
 * is behind costs, and whom. */

#include "tests/support/test.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "services/relay/transport/ws/conn.h"
#include "tests/support/relay_fake.h"

#define PAYLOAD 8000
#define SHARE (2u << 20) /* as relay_fake.h has it */

static struct cores *cores;
static struct core *core;
static struct fake *sender;

/* Readiness of sockets, and the end of the turn. */
static void turn(void)
{
    struct epoll_event ev[16];
    int n = epoll_wait(core->epfd, ev, RK_COUNT(ev), 0);

    for (int i = 0; i < n; i++) {
        struct watch *w = ev[i].data.ptr;

        w->on_ready(w, ev[i].events);
    }
    ws_conn_end_turn(core);
}

/* An agent's end; `room`: what its socket takes before it reads. */
static int login(unsigned k, int room)
{
    static const char upgrade[] = "GET /relay HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    struct sockaddr_in peer = { .sin_family = AF_INET };
    struct relay_id id = fake_id(k);
    uint8_t m[6 + RELAY_MAX_AUTH] = { 0x82 }; /* one frame; its mask is 0 */
    char answer[4096];
    int fd[2];
    size_t n;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    assert_int_equal(setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    ws_conn_accept(core, fd[0], (const struct sockaddr *)&peer);
    assert_int_equal(write(fd[1], upgrade, sizeof(upgrade) - 1), sizeof(upgrade) - 1);
    turn();
    n = fake_auth(&id, m + 6);
    assert_in_range(n, 1, 125);
    m[1] = (uint8_t)(0x80 | n);
    assert_int_equal(write(fd[1], m, 6 + n), 6 + n);
    turn();
    turn();
    assert_non_null(directory_find(core->directory, &id));
    assert_true(read(fd[1], answer, sizeof(answer)) > 0); /* 101 and AUTH_RESPONSE */
    return fd[1];
}

static void send_to(unsigned k)
{
    static uint8_t m[RELAY_HEAD_LEN + PAYLOAD];
    struct relay_id id = fake_id(k);

    m[0] = RELAY_VERSION;
    m[1] = RELAY_TRANSPORT;
    memcpy(m + 2, id.b, RELAY_ID_LEN);
    assert_int_equal(fake_say(sender, m, sizeof(m), NULL), 0);
}

static size_t read_all(int fd)
{
    static uint8_t b[65536];
    size_t all = 0;
    ssize_t n;

    while ((n = read(fd, b, sizeof(b))) > 0)
        all += (size_t)n;
    return all;
}

static int64_t counted(enum relay_count what)
{
    return count_get(&core->counts, what);
}

static int set_up(void **state)
{
    struct relay_id id = fake_id(1);
    uint8_t m[RELAY_MAX_AUTH];

    (void)state;
    cores = fake_cores(1);
    core = cores_at(cores, 0);
    sender = fake_open(core);
    return fake_say(sender, m, fake_auth(&id, m), NULL);
}

static int tear_down(void **state)
{
    (void)state;
    ws_conn_close_all(core, "the test is over");
    while (core->connection_count > 0)
        ws_conn_end_turn(core);
    fake_end(sender);
    assert_int_equal(counted(COUNT_QUEUED_BYTES), 0);
    cores_free(cores);
    return 0;
}

static void a_queue_that_is_full_drops_what_is_new(void **state)
{
    int slow = login(2, 4096);

    (void)state;
    while (counted(COUNT_DROP_QUEUE) == 0) {
        send_to(2);
        turn();
    }
    assert_in_range(counted(COUNT_QUEUED_BYTES), (1 << 20) - 2 * PAYLOAD,
                    (1 << 20) + RK_WS_MAX_SERVER_HEADER);
    assert_int_equal(counted(COUNT_DROP_TOTAL), 0);
    close(slow);
}

static void all_queues_together_are_bounded_and_whoever_reads_loses_nothing(void **state)
{
    int slow[4], good = login(2, 1 << 20);
    int64_t before;

    (void)state;
    for (unsigned i = 0; i < RK_COUNT(slow); i++)
        slow[i] = login(3 + i, 4096);
    for (unsigned round = 0; round < 100; round++) { /* 3.2 MB, none past its own bound */
        for (unsigned i = 0; i < RK_COUNT(slow); i++)
            send_to(3 + i);
        turn();
        assert_true(counted(COUNT_QUEUED_BYTES) <= SHARE + RK_WS_MAX_SERVER_HEADER);
    }
    assert_int_equal(counted(COUNT_DROP_QUEUE), 0);
    before = counted(COUNT_DROP_TOTAL);
    assert_true(before > 0);

    for (unsigned i = 0; i < 10; i++) /* all in one turn */
        send_to(2);
    turn();
    assert_in_range(read_all(good), 10 * (RELAY_HEAD_LEN + PAYLOAD), 10 * (PAYLOAD + 64));
    assert_int_equal(counted(COUNT_DROP_TOTAL), before);

    for (unsigned i = 0; i < 1000 && counted(COUNT_QUEUED_BYTES) > SHARE / 2; i++) {
        (void)read_all(slow[0]); /* it catches up, and then others have room too */
        (void)read_all(slow[1]);
        turn();
    }
    assert_true(counted(COUNT_QUEUED_BYTES) <= SHARE / 2 + PAYLOAD);
    send_to(5);
    assert_int_equal(counted(COUNT_DROP_TOTAL), before);
    for (unsigned i = 0; i < RK_COUNT(slow); i++)
        close(slow[i]);
    close(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_queue_that_is_full_drops_what_is_new, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            all_queues_together_are_bounded_and_whoever_reads_loses_nothing, set_up, tear_down),
    };

    return RUN_TESTS(tests);
}
