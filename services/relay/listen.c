#include "services/relay/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_one(const struct rk_addr *addr)
{
    int one = 1, zero = 0, saved;
    int fd = socket(addr->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (addr->ss.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0 &&
        bind(fd, (const struct sockaddr *)&addr->ss, addr->len) == 0 && listen(fd, 4096) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int listen_open(const struct rk_addr *addr,
                uint32_t count,
                int *out_fds,
                char out_bound[RK_ADDR_LEN],
                struct rk_err *err)
{
    struct rk_addr bound = *addr;
    char text[RK_ADDR_LEN];

    for (uint32_t i = 0; i < count; i++) {
        out_fds[i] = open_one(&bound);
        if (out_fds[i] < 0) {
            int e = errno;

            while (i-- > 0)
                close(out_fds[i]);
            rk_addr_format((const struct sockaddr *)&bound.ss, text);
            return rk_fail(err, RK_UNAVAILABLE, "cannot listen on %s: %s", text, strerror(e));
        }
        if (i == 0)
            getsockname(out_fds[0], (struct sockaddr *)&bound.ss, &bound.len);
    }
    rk_addr_format((const struct sockaddr *)&bound.ss, out_bound);
    return 0;
}
