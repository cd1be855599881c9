/*
 * What answering a STUN binding request costs at the least: receive a batch, swap the bytes, send a
 * batch, on one thread, and nothing else (no metrics, no rate limit, no checks beyond the magic
 * number, one address). `stun_ref ADDRESS:PORT`; says "ready" when it listens.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/bench/lib/report.h"

#define BATCH 64
#define REQUEST 20
#define REPLY 32

static uint8_t request[BATCH][576], reply[BATCH][REPLY];
static struct sockaddr_in from[BATCH];
static struct iovec in_iov[BATCH], out_iov[BATCH];
static struct mmsghdr in[BATCH], out[BATCH];

static int listen_on(const char *address)
{
    struct sockaddr_in self = bench_address(address);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), bytes = 4 << 20;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    if (fd < 0 || bind(fd, (const struct sockaddr *)&self, sizeof(self)) < 0)
        bench_die("%s: %s", address, strerror(errno));
    return fd;
}

static void answer(const uint8_t *q, const struct sockaddr_in *to, uint8_t *a)
{
    uint16_t port = to->sin_port ^ htons(0x2112);
    uint32_t ip = to->sin_addr.s_addr ^ htonl(0x2112a442);
    static const uint8_t head[4] = { 1, 1, 0, 12 }, attribute[6] = { 0, 0x20, 0, 8, 0, 1 };

    memcpy(a, head, sizeof(head));
    memcpy(a + 4, q + 4, 16);
    memcpy(a + 20, attribute, sizeof(attribute));
    memcpy(a + 26, &port, sizeof(port));
    memcpy(a + 28, &ip, sizeof(ip));
}

int main(int argc, char **argv)
{
    int fd = listen_on(argc > 1 ? argv[1] : "");

    for (unsigned i = 0; i < BATCH; i++) {
        in_iov[i] = (struct iovec){ request[i], sizeof(request[i]) };
        out_iov[i] = (struct iovec){ reply[i], REPLY };
        in[i].msg_hdr =
            (struct msghdr){ .msg_name = &from[i], .msg_iov = &in_iov[i], .msg_iovlen = 1 };
        out[i].msg_hdr = (struct msghdr){ .msg_namelen = sizeof(from[i]),
                                          .msg_iov = &out_iov[i],
                                          .msg_iovlen = 1 };
    }
    printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        unsigned replies = 0;
        int n;

        for (unsigned i = 0; i < BATCH; i++)
            in[i].msg_hdr.msg_namelen = sizeof(from[i]);
        n = recvmmsg(fd, in, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < n; i++) {
            if (in[i].msg_len < REQUEST || memcmp(request[i] + 4, "\x21\x12\xa4\x42", 4) != 0)
                continue;
            answer(request[i], &from[i], reply[replies]);
            out[replies++].msg_hdr.msg_name = &from[i];
        }
        for (unsigned at = 0; at < replies;) {
            n = sendmmsg(fd, out + at, replies - at, 0);
            at += n > 0 ? (unsigned)n : 1;
        }
    }
}
