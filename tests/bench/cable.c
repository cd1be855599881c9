/*
 * Whether what leaves by a device has whole checksums, as on any wire, or leaves them to a network
 * card, which a veth is not and does not need:
 *   checksums DEVICE whole|left
 */

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "tests/bench/lib/report.h"

int main(int argc, char **argv)
{
    struct ethtool_value left = { .cmd = ETHTOOL_STXCSUM };
    struct ifreq ask = { .ifr_data = (void *)&left };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (argc != 3 || strlen(argv[1]) >= sizeof(ask.ifr_name))
        bench_die("usage: checksums DEVICE whole|left");
    memcpy(ask.ifr_name, argv[1], strlen(argv[1]));
    left.data = strcmp(argv[2], "left") == 0;
    if (ioctl(fd, SIOCETHTOOL, &ask) < 0)
        bench_die("%s: checksums: %s", argv[1], strerror(errno));
    close(fd);
    return 0;
}
