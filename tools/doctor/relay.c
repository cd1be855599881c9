/* A relay, as an agent logs in to it: TCP, TLS, WebSocket, AUTH with a credential of our secret. */

#include <string.h>
#include <sys/random.h>

#include "libcommon/base/clock.h"
#include "libcommon/crypto/token.h"
#include "libcommon/net/ws_client.h"
#include "services/relay/wire/message.h"
#include "tools/doctor/dial.h"

#define TOKEN_LIFE_S 60
#define HEAD_MAX 4096

static const char topic[] = "relay";

static bool upgrade(struct check *c, struct dial *d, const struct rk_target *to)
{
    char request[RK_WS_REQUEST_MAX];
    char answer[HEAD_MAX];
    struct rk_err err = { 0 };
    size_t n = rk_ws_request("/relay", to->authority, request), have = 0;
    int r = dial_write(d, request, n, &err);

    /* One at a time: what follows the header is not to be lost. */
    while (r >= 0 && have < sizeof(answer) &&
           !(have >= 4 && memcmp(answer + have - 4, "\r\n\r\n", 4) == 0)) {
        r = dial_read(d, answer + have, 1, &err);
        have += r > 0;
    }
    if (r >= 0 && rk_ws_accepted(rk_strn(answer, have)))
        return true;
    answer[have < sizeof(answer) ? have : sizeof(answer) - 1] = 0;
    answer[strcspn(answer, "\r\n")] = 0;
    check_say(c, VERDICT_FAIL, topic,
              "see that this port is a relay's, or that the proxy before it passes /relay on with "
              "its Upgrade",
              "no WebSocket at /relay: %s", r < 0 ? err.msg : answer);
    return false;
}

static size_t make_auth(struct check *c, uint8_t out[RELAY_MAX_AUTH])
{
    uint8_t token[RK_RELAY_TOKEN_MAX];
    struct relay_id id = { "sha-" };
    struct rk_relay_key key;
    size_t n;

    (void)!getrandom(id.b + 4, sizeof(id.b) - 4, 0); /* nobody's */
    rk_relay_key_init(&key, rk_str(c->config->relay_secret));
    n = rk_relay_token_binary(&key, rk_wall_s() + TOKEN_LIFE_S, token);
    rk_wipe(&key, sizeof(key));
    return relay_auth_write(&id, rk_strn(token, n), out);
}

static void log_in(struct check *c, struct dial *d)
{
    uint8_t message[RELAY_MAX_AUTH], frame[RELAY_MAX_AUTH + RK_WS_MASKED_HEAD];
    uint8_t answer[RELAY_MAX_AUTH_RESPONSE + RK_WS_MASKED_HEAD];
    size_t n = rk_ws_masked(message, make_auth(c, message), frame), have = 0, head = 0, whole = 0;
    uint64_t start = rk_mono_ns();
    struct rk_err err = { 0 };
    int r = dial_write(d, frame, n, &err);

    while (r >= 0 && whole == 0 && have < sizeof(answer)) {
        r = dial_read(d, answer + have, sizeof(answer) - have, &err);
        have += r > 0 ? (size_t)r : 0;
        whole = rk_ws_server_frame(answer, have, RELAY_MAX_AUTH_RESPONSE, &head);
    }
    if (r < 0 || whole == SIZE_MAX || whole < head + 3 || answer[head] != RELAY_VERSION ||
        answer[head + 1] != RELAY_AUTH_RESPONSE) {
        check_say(c, VERDICT_FAIL, topic,
                  "give it the relay_secret of management, and see its log: a refused credential "
                  "says why",
                  "it takes no credential made with this relay_secret: %s",
                  r < 0 ? err.msg : "another answer than AUTH_RESPONSE");
        return;
    }
    check_say(c, VERDICT_OK, topic, NULL, "takes our credential after %.1f ms; it is %.*s",
              (double)(rk_mono_ns() - start) / 1e6,
              (int)(whole - head - 2 > 200 ? 200 : whole - head - 2),
              (const char *)answer + head + 2);
}

static void visit(struct check *c, const struct rk_target *to)
{
    rk_auto(dial_done) struct dial d;
    struct rk_err err = { 0 };

    if (dial_open(&d, to, c->ca_file, NULL, &err) < 0) {
        check_say(c, VERDICT_FAIL, topic,
                  "start it, open its port in firewalls, or correct `relay_urls` of management, or "
                  "the `exposed_url` of one that registers",
                  "%s", err.msg);
        return;
    }
    if (to->tls && !dial_judge(&d, to, c))
        return;
    if (upgrade(c, &d, to))
        log_in(c, &d);
}

void check_relay(struct check *c)
{
    struct rk_targets targets = { .count = 0 };
    struct rk_err err = { 0 };
    struct rk_target *to;

    if (rk_targets_get(&targets, rk_str(c->arg), &to, &err) < 0)
        check_say(c, VERDICT_FAIL, topic, "correct `relay_urls` of management", "%s", err.msg);
    else
        visit(c, to);
    rk_targets_done(&targets);
}
