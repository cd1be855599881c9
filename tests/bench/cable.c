// links: stun
/*
 * Makes an end of the cable do more of what a network card does:
 *   cable DEVICE polled  its driver can hand over what comes by itself, not in the sender's call
 *   cable DEVICE card    it does so, past a program to which all may pass, as the other end's
 * cannot send answers back without one; and what leaves has whole checksums, as on any wire cable
 * DEVICE plain   not so any more
 */

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "libcommon/base/attr.h"
#include "tests/bench/lib/report.h"

static void set(const char *device, uint32_t feature, bool on)
{
    struct ethtool_value value = { .cmd = feature, .data = on };
    struct ifreq ask = { .ifr_data = (void *)&value };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(ask.ifr_name, device, strlen(device));
    if (ioctl(fd, SIOCETHTOOL, &ask) < 0)
        bench_die("%s: %s", device, strerror(errno));
    close(fd);
}

/* `program`: -1 for none. It stays when this process has ended. */
static void attach(const char *device, int program)
{
    if (bpf_xdp_attach((int)if_nametoindex(device), program, XDP_FLAGS_DRV_MODE, NULL) < 0)
        bench_die("%s: a program: %s", device, strerror(errno));
}

static int let_all_pass(void)
{
    const struct bpf_insn insns[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
        { .code = BPF_JMP | BPF_EXIT },
    };
    int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "Apache-2.0", insns, RK_COUNT(insns), NULL);

    if (fd < 0)
        bench_die("a program: %s", strerror(errno));
    return fd;
}

int main(int argc, char **argv)
{
    const char *device = argv[1], *what = argv[2];

    if (argc != 3 || strlen(device) >= IF_NAMESIZE)
        bench_die("usage: cable DEVICE polled|card|plain");
    if (strcmp(what, "polled") == 0) {
        set(device, ETHTOOL_SGRO, true);
    } else if (strcmp(what, "card") == 0) {
        attach(device, let_all_pass());
        set(device, ETHTOOL_STXCSUM, false);
    } else if (strcmp(what, "plain") == 0) {
        attach(device, -1);
        set(device, ETHTOOL_STXCSUM, true);
    } else {
        bench_die("no such thing: %s", what);
    }
    return 0;
}
