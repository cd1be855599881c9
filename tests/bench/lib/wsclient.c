#include "tests/bench/lib/wsclient.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/encode.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/crypto/token.h"
#include "tests/bench/lib/report.h"

static const uint8_t mask[4] = { 0x5a, 0x17, 0xc3, 0x99 };

int ws_connect(const struct sockaddr_in *server)
{
    struct timeval limit = { .tv_sec = 5 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0 || connect(fd, (const struct sockaddr *)server, sizeof(*server)) < 0)
        bench_die("connecting: %s", strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

void ws_write_all(int fd, const void *p, size_t n)
{
    const uint8_t *at = p;

    while (n > 0) {
        ssize_t r = send(fd, at, n, MSG_NOSIGNAL);

        if (r <= 0)
            bench_die("writing: %s", strerror(errno));
        at += r;
        n -= (size_t)r;
    }
}

static void read_exactly(int fd, uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t r = recv(fd, p, n, 0);

        if (r <= 0)
            bench_die("logging in: %s", r == 0 ? "connection closed" : strerror(errno));
        p += r;
        n -= (size_t)r;
    }
}

static void upgrade(int fd)
{
    static const char request[] =
        "GET /relay HTTP/1.1\r\nHost: relay\r\nUser-Agent: Go-http-client/1.1\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\r\n";
    static const char good[] = "HTTP/1.1 101 ";
    uint8_t answer[1024];
    size_t n = 0;

    ws_write_all(fd, request, sizeof(request) - 1);
    while (n < 4 || memcmp(answer + n - 4, "\r\n\r\n", 4) != 0) {
        if (n == sizeof(answer))
            bench_die("the answer to the upgrade has no end");
        read_exactly(fd, answer + n++, 1);
    }
    if (memcmp(answer, good, sizeof(good) - 1) != 0)
        bench_die("upgrade refused: %.40s", (const char *)answer);
}

/* A masked binary frame around `n` < 65,536 bytes; its length. */
static size_t masked(const uint8_t *p, size_t n, uint8_t *out)
{
    size_t h = n < 126 ? 6 : 8;

    out[0] = 0x82;
    out[1] = (uint8_t)(0x80 | (n < 126 ? n : 126));
    if (n >= 126) {
        out[2] = (uint8_t)(n >> 8);
        out[3] = (uint8_t)n;
    }
    memcpy(out + h - 4, mask, sizeof(mask));
    for (size_t i = 0; i < n; i++)
        out[h + i] = p[i] ^ mask[i % 4];
    return h + n;
}

static size_t auth(const struct relay_id *id, const char *secret, uint8_t *out)
{
    static const uint8_t head[6] = { RELAY_VERSION, RELAY_AUTH, 0x21, 0x12, 0xa4, 0x42 };
    struct rk_relay_key key;
    char payload[24], signature[45];
    size_t n;

    rk_relay_key_init(&key, rk_str(secret));
    rk_relay_token_issue(&key, rk_wall_s() + 3600, payload, signature);
    memcpy(out, head, sizeof(head));
    memcpy(out + 6, id->b, RELAY_ID_LEN);
    out[42] = 1;
    if (!rk_b64_decode(rk_str(signature), out + 43, 32, &n) || n != 32)
        bench_die("the token's signature is no base64");
    n = strlen(payload);
    memcpy(out + 75, payload, n);
    return 75 + n;
}

void ws_login(int fd, const struct relay_id *id, const char *secret)
{
    uint8_t clear[RELAY_MAX_AUTH], frame[RELAY_MAX_AUTH + 8];

    upgrade(fd);
    ws_write_all(fd, frame, masked(clear, auth(id, secret, clear), frame));
    read_exactly(fd, frame, 4);
    if (frame[0] != 0x82 || frame[1] >= 126 || frame[1] < 3 || frame[2] != RELAY_VERSION ||
        frame[3] != RELAY_AUTH_RESPONSE)
        bench_die("AUTH got %02x %02x %02x %02x", frame[0], frame[1], frame[2], frame[3]);
    read_exactly(fd, clear, (size_t)frame[1] - 2);
}

void ws_id(struct relay_id *id, uint32_t number)
{
    uint64_t seed[2] = { (uint64_t)getpid() << 32 | number, rk_mono_ns() };

    memcpy(id->b, "sha-", 4);
    rk_sha256(seed, sizeof(seed), id->b + 4);
}

void ws_transport_frame(const struct relay_id *to, uint8_t *out)
{
    uint8_t clear[RELAY_HEAD_LEN + WS_PAYLOAD];

    clear[0] = RELAY_VERSION;
    clear[1] = RELAY_TRANSPORT;
    memcpy(clear + 2, to->b, RELAY_ID_LEN);
    for (unsigned i = 0; i < WS_PAYLOAD; i++)
        clear[RELAY_HEAD_LEN + i] = (uint8_t)(i * 7);
    (void)masked(clear, sizeof(clear), out);
}

bool ws_transport_arrived(const uint8_t *p, const struct relay_id *from)
{
    static const uint8_t head[6] = { 0x82,
                                     126,
                                     (RELAY_HEAD_LEN + WS_PAYLOAD) >> 8,
                                     (RELAY_HEAD_LEN + WS_PAYLOAD) & 255,
                                     RELAY_VERSION,
                                     RELAY_TRANSPORT };
    const uint8_t *payload = p + 4 + RELAY_HEAD_LEN;

    return memcmp(p, head, sizeof(head)) == 0 && memcmp(p + 6, from->b, RELAY_ID_LEN) == 0 &&
           payload[1] == 7 && payload[WS_PAYLOAD - 1] == (uint8_t)((WS_PAYLOAD - 1) * 7);
}
