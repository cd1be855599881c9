#include "libcommon/conf/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define TIMEOUT_S 5
#define MAX_ANSWER ((size_t)64 * 1024)

static uint16_t port_of(const struct rk_addr *a)
{
    if (a->ss.ss_family == AF_INET6)
        return ((const struct sockaddr_in6 *)&a->ss)->sin6_port;
    return ((const struct sockaddr_in *)&a->ss)->sin_port;
}

/* The answer until the process closes the connection, as it does behind each. */
static int ask(int fd, const struct rk_addr *to, const char *path, struct rk_buf *out)
{
    const struct timeval limit = { .tv_sec = TIMEOUT_S };
    char part[4096];
    ssize_t n = snprintf(part, sizeof(part), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);

    /* Linux connects a wildcard address to this machine. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(fd, (const struct sockaddr *)&to->ss, to->len) < 0 ||
        send(fd, part, (size_t)n, MSG_NOSIGNAL) < 0)
        return -errno;
    while ((n = recv(fd, part, sizeof(part), 0)) > 0)
        if (!rk_buf_put(out, part, (size_t)n))
            return -EMSGSIZE;
    return n < 0 ? -errno : 0;
}

int rk_probe_get(const struct rk_addr *at, const char *path, struct rk_buf *out, struct rk_err *err)
{
    int fd = socket(at->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), r;
    char text[RK_ADDR_LEN];

    if (fd < 0)
        return rk_fail(err, RK_UNAVAILABLE, "socket: %s", strerror(errno));
    r = ask(fd, at, path, out);
    (void)close(fd);
    if (r == 0)
        return 0;
    rk_addr_format((const struct sockaddr *)&at->ss, text);
    return rk_fail(err, RK_UNAVAILABLE, "%s does not answer: %s", text, strerror(-r));
}

struct rk_str rk_probe_body(struct rk_str answer)
{
    struct rk_str line;

    while (rk_str_next(&answer, '\n', &line) && rk_str_trim(line).n > 0)
        continue;
    return answer;
}

static int judge(struct rk_str answer, const char *at, struct rk_err *err)
{
    struct rk_str body;

    if (rk_str_starts(answer, RK_STR("HTTP/1.1 200 ")))
        return 0;
    if (!rk_str_starts(answer, RK_STR("HTTP/1.1 503 ")))
        return rk_fail(err, RK_UNAVAILABLE, "%s does not answer as the admin port of this service",
                       at);
    body = rk_str_trim(rk_probe_body(answer));
    return rk_fail(err, RK_UNAVAILABLE, "not ready: %.*s", (int)body.n, body.p);
}

int rk_probe_ready(const char *admin_listen, struct rk_err *err)
{
    rk_auto(rk_buf_done) struct rk_buf answer;
    struct rk_addr to;
    int r = rk_addr_parse(rk_str(admin_listen), &to, err);

    rk_buf_init(&answer, MAX_ANSWER);
    if (r < 0)
        return r;
    if (port_of(&to) == 0)
        return rk_fail(err, RK_INVALID, "admin_listen has port 0: give it one to ask at");
    r = rk_probe_get(&to, "/readyz", &answer, err);
    return r < 0 ? r : judge(rk_buf_str(&answer), admin_listen, err);
}
