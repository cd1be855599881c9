/* STUN: an answer in time, which names an address that can be this machine's. */

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/net/binding.h"
#include "libcommon/net/target.h"
#include "libcommon/oidc/address.h"
#include "tools/doctor/check.h"

#define DEFAULT_PORT 3478
#define TRIES 3
#define LIMIT_MS 1000 /* for all of them */

/* Whose answer it is is in the transaction. A try that is refused by ICMP is one without answer. */
static bool ask(int fd, struct rk_addr *out, double *out_ms)
{
    const struct timeval step = { .tv_usec = LIMIT_MS * 1000 / TRIES };
    uint8_t sent[RK_BINDING_TRANSACTION], got[RK_BINDING_TRANSACTION];
    uint8_t request[RK_BINDING_REQUEST], answer[2048];
    uint64_t start = rk_mono_ns();

    if (getrandom(sent, sizeof(sent), 0) != (ssize_t)sizeof(sent))
        return false;
    rk_binding_request(sent, request);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &step, sizeof(step));
    while (rk_mono_ns() - start < LIMIT_MS * UINT64_C(1000000)) {
        ssize_t n;

        if (send(fd, request, sizeof(request), 0) < 0 && errno != ECONNREFUSED)
            return false;
        n = recv(fd, answer, sizeof(answer), 0);
        if (n > 0 && rk_binding_answer(answer, (size_t)n, got, out) &&
            memcmp(got, sent, sizeof(got)) == 0) {
            *out_ms = (double)(rk_mono_ns() - start) / 1e6;
            return true;
        }
        if (n < 0 && errno == ECONNREFUSED)
            return false;
    }
    return false;
}

static void say_address(
    struct check *c, const struct rk_target *to, int fd, const struct rk_addr *named, double ms)
{
    enum rk_reach reach = rk_address_reach((const struct sockaddr *)&named->ss);
    enum rk_reach server = rk_address_reach((const struct sockaddr *)&to->addr.ss);
    struct rk_addr own = { .len = sizeof(own.ss) };
    char text[RK_ADDR_LEN], own_text[RK_ADDR_LEN] = "";

    rk_addr_format((const struct sockaddr *)&named->ss, text);
    if (getsockname(fd, (struct sockaddr *)&own.ss, &own.len) == 0)
        rk_addr_format((const struct sockaddr *)&own.ss, own_text);
    if (reach == RK_REACH_NEVER)
        check_say(c, VERDICT_FAIL, "stun", "see what stands between it and its clients",
                  "it takes this machine to be at %s, where nobody can be", text);
    else if (server == RK_REACH_PUBLIC && reach != RK_REACH_PUBLIC && strcmp(text, own_text) != 0)
        check_say(c, VERDICT_FAIL, "stun",
                  "let datagrams reach it with the address that they came from: no source NAT and "
                  "no proxy before it (hostNetwork, externalTrafficPolicy: Local)",
                  "it takes this machine to be at %s, an inner address: agents would tell their "
                  "peers one that does not lead to them",
                  text);
    else if (server == RK_REACH_LOOPBACK && strcmp(text, own_text) != 0)
        check_say(c, VERDICT_WARN, "stun", "see what stands between it and its clients",
                  "on this very machine it takes %s to be at %s", own_text, text);
    else
        check_say(c, VERDICT_OK, "stun", NULL, "answers after %.1f ms: this machine is at %s%s", ms,
                  text, strcmp(text, own_text) == 0 ? ", without NAT" : "");
}

void check_stun(struct check *c)
{
    struct rk_targets targets = { .count = 0 };
    struct rk_err err = { 0 };
    struct rk_addr named;
    struct rk_target *to;
    double ms = 0;
    int fd = -1;

    if (rk_targets_get_bare(&targets, rk_str(c->arg), DEFAULT_PORT, false, SOCK_DGRAM, &to, &err) <
        0) {
        check_say(c, VERDICT_FAIL, "stun", "correct `stun_urls` of management", "%s", err.msg);
        rk_targets_done(&targets);
        return;
    }
    fd = socket(to->addr.ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to->addr.ss, to->addr.len) == 0 &&
        ask(fd, &named, &ms))
        say_address(c, to, fd, &named, ms);
    else
        check_say(c, VERDICT_FAIL, "stun",
                  "start it, open its UDP port in firewalls, or correct `stun_urls` of management, "
                  "or the `exposed_url` of one that registers",
                  "no answer within %d ms", LIMIT_MS);
    if (fd >= 0)
        (void)close(fd);
    rk_targets_done(&targets);
}
