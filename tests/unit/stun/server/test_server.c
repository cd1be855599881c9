/* One server on loopback: it answers from where it was asked, and ends when told, asked or not. */

#include "tests/support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "services/stun/server/server.h"

static const uint8_t request[20] = { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4 };

static struct stun_server *start(const char *address, struct sockaddr_in *out_at)
{
    struct udp_socket socket;
    struct rk_err err = { 0 };
    struct rk_addr a;

    assert_int_equal(rk_addr_parse(rk_str(address), &a, &err), 0);
    assert_int_equal(udp_socket_open(&a, false, &socket, &err), 0);
    memcpy(out_at, &a.ss, sizeof(*out_at));
    if (out_at->sin_addr.s_addr == INADDR_ANY)
        out_at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return stun_server_start(&socket, 0);
}

/* Connected, so that only an answer from there arrives. */
static int client(const struct sockaddr_in *server)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)server, sizeof(*server)), 0);
    return fd;
}

static void ask(int fd)
{
    assert_int_equal(send(fd, request, sizeof(request), 0), sizeof(request));
}

static void is_answered(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    uint8_t answer[128];

    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_true(recv(fd, answer, sizeof(answer), 0) >= 32);
    assert_memory_equal(answer + 4, request + 4, 16);
}

static void answers_come_from_where_the_request_went(void **state)
{
    static const char *const listen[] = { "127.0.0.1:0", "0.0.0.0:0" };

    (void)state;
    for (unsigned i = 0; i < RK_COUNT(listen); i++) {
        int64_t sums[STUN_COUNT_END] = { 0 };
        struct sockaddr_in at;
        struct stun_server *s = start(listen[i], &at);
        int fd = client(&at);

        for (unsigned k = 0; k < 3; k++) {
            ask(fd);
            is_answered(fd);
        }
        stun_server_counts(s, sums);
        assert_int_equal(sums[STUN_COUNT_REQUESTS], 3);
        assert_int_equal(sums[STUN_COUNT_DROP_MALFORMED], 0);
        stun_server_stop_free(s);
        close(fd);
    }
}

static void it_ends_although_nobody_asks(void **state)
{
    struct sockaddr_in at;

    (void)state;
    for (unsigned i = 0; i < 50; i++)
        stun_server_stop_free(start("127.0.0.1:0", &at));
}

static void what_came_before_the_stop_is_answered(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        struct sockaddr_in at;
        struct stun_server *s = start("127.0.0.1:0", &at);
        int fd = client(&at);

        for (unsigned k = 0; k < 70; k++)
            ask(fd);
        stun_server_stop_free(s);
        for (unsigned k = 0; k < 70; k++)
            is_answered(fd);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_from_where_the_request_went),
        cmocka_unit_test(it_ends_although_nobody_asks),
        cmocka_unit_test(what_came_before_the_stop_is_answered),
    };

    return RUN_TESTS(tests);
}
