#include "services/stun/server/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "services/stun/server/local.h"

#define RECEIVE_BYTES (4 << 20)

static int set_up(int fd, const struct rk_addr *addr, bool v6only, bool pktinfo)
{
    int one = 1, only = v6only, bytes = RECEIVE_BYTES, whole = IP_PMTUDISC_PROBE;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    /* An answer is smaller than any path's limit: never a fragment, so the kernel needs no
     * identification for it. */
    (void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof(whole));
    if (addr->ss.ss_family == AF_INET6) {
        if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) < 0)
            return -1;
        if (pktinfo && setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)) < 0)
            return -1;
    } else if (pktinfo && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)) < 0) {
        return -1;
    }
    return bind(fd, (const struct sockaddr *)&addr->ss, addr->len);
}

int udp_socket_open(struct rk_addr *addr, bool v6only, struct udp_socket *out, struct rk_err *err)
{
    int fd = socket(addr->ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool pktinfo = local_is_wildcard(addr);
    char text[RK_ADDR_LEN];

    if (fd < 0 || set_up(fd, addr, v6only, pktinfo) < 0) {
        int e = errno;

        if (fd >= 0)
            close(fd);
        rk_addr_format((const struct sockaddr *)&addr->ss, text);
        return rk_fail(err, RK_UNAVAILABLE, "cannot listen on %s: %s", text, strerror(e));
    }
    getsockname(fd, (struct sockaddr *)&addr->ss, &addr->len);
    *out = (struct udp_socket){ .fd = fd, .pktinfo = pktinfo };
    return 0;
}
