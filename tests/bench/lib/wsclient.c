#include "tests/bench/lib/wsclient.h"

#include <string.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/encode.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/crypto/token.h"
#include "libcommon/net/ws_client.h"
#include "tests/bench/lib/report.h"

static void upgrade(struct wire *w)
{
    char request[RK_WS_REQUEST_MAX];
    uint8_t answer[1024];
    size_t n = 0;

    wire_write(w, request, rk_ws_request("/relay", "relay", request));
    while (n < 4 || memcmp(answer + n - 4, "\r\n\r\n", 4) != 0) {
        if (n == sizeof(answer))
            bench_die("the answer to the upgrade has no end");
        wire_read(w, answer + n++, 1);
    }
    if (!rk_ws_accepted(rk_strn(answer, n)))
        bench_die("upgrade refused: %.40s", (const char *)answer);
}

static size_t auth(const struct relay_id *id, const char *secret, uint8_t *out)
{
    uint8_t token[RK_RELAY_TOKEN_MAX];
    struct rk_relay_key key;
    size_t n;

    rk_relay_key_init(&key, rk_str(secret));
    n = rk_relay_token_binary(&key, rk_wall_s() + 3600, token);
    return relay_auth_write(id, rk_strn(token, n), out);
}

void ws_login(struct wire *w, const struct relay_id *id, const char *secret)
{
    uint8_t clear[RELAY_MAX_AUTH], frame[RELAY_MAX_AUTH + 8];

    upgrade(w);
    wire_write(w, frame, rk_ws_masked(clear, auth(id, secret, clear), frame));
    wire_read(w, frame, 4);
    if (frame[0] != 0x82 || frame[1] >= 126 || frame[1] < 3 || frame[2] != RELAY_VERSION ||
        frame[3] != RELAY_AUTH_RESPONSE)
        bench_die("AUTH got %02x %02x %02x %02x", frame[0], frame[1], frame[2], frame[3]);
    wire_read(w, clear, (size_t)frame[1] - 2);
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
    (void)rk_ws_masked(clear, sizeof(clear), out);
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
