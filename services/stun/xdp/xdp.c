#include "services/stun/xdp/xdp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/id.h"
#include "libcommon/base/str.h"
#include "services/stun/message/stun.h"
#include "services/stun/xdp/shared.h"

__asm__(".section .rodata\n"
        ".balign 8\n"
        ".global xdp_program_begin\n"
        ".global xdp_program_end\n"
        ".type xdp_program_begin, @object\n"
        ".type xdp_program_end, @object\n"
        "xdp_program_begin:\n"
        ".incbin \"" XDP_PROGRAM_FILE "\"\n"
        "xdp_program_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char xdp_program_begin[], xdp_program_end[];

struct device {
    char name[IF_NAMESIZE];
    int link; /* -1: the program is not there */
    enum xdp_mode mode;
};

struct xdp {
    struct bpf_object *object;
    int program, addresses, counts;
    enum xdp_mode mode;
    struct device device[XDP_MAX_DEVICES];
    unsigned device_count;
    struct xdp_counts *count; /* of every core that there may be: what is read of them at a time */
    unsigned cores;
};

static const char *const mode_names[] = {
    [XDP_AUTO] = "auto", [XDP_DRIVER] = "driver", [XDP_GENERIC] = "generic"
};

static int parse_mode(const char *text, enum xdp_mode *out_mode, struct rk_err *err)
{
    for (unsigned i = 0; i < RK_COUNT(mode_names); i++)
        if (strcmp(text, mode_names[i]) == 0) {
            *out_mode = (enum xdp_mode)i;
            return 0;
        }
    return rk_fail(err, RK_INVALID, "xdp_mode: auto, driver or generic");
}

int xdp_plan_parse(const char *devices,
                   const char *mode,
                   struct xdp_plan *out_plan,
                   struct rk_err *err)
{
    struct rk_str rest = rk_str(devices), part;
    struct xdp_plan plan = { 0 };
    int r = parse_mode(mode, &plan.mode, err);

    if (r < 0)
        return r;
    while (rk_str_next(&rest, ',', &part)) {
        part = rk_str_trim(part);
        if (part.n == 0)
            continue;
        if (plan.device_count == XDP_MAX_DEVICES)
            return rk_fail(err, RK_INVALID, "xdp: more than %d devices", XDP_MAX_DEVICES);
        if (part.n >= IF_NAMESIZE)
            return rk_fail(err, RK_INVALID, "xdp: %.*s is no name of a network device", (int)part.n,
                           part.p);
        memcpy(plan.device[plan.device_count++], part.p, part.n);
    }
    *out_plan = plan;
    return 0;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
    (void)level;
    (void)fmt;
    (void)args;
    return 0; /* what it returns says it all; stderr is our log's */
}

/* `flags`: BPF_F_XDP_HAS_FRAGS, so that packets of several pieces (jumbo frames; TCP's that the
 * kernel has joined) pass as they are, and need not be copied into 64 KiB in one piece, which a
 * machine that has been up for long may not have. */
static int load_with(struct xdp *x, const struct xdp_terms *terms, uint32_t flags)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "rookery_stun");
    struct bpf_program *program;
    int r;

    x->object = bpf_object__open_mem(
        xdp_program_begin, (size_t)((uintptr_t)xdp_program_end - (uintptr_t)xdp_program_begin),
        &opts);
    if (!x->object)
        return -errno;
    program = bpf_object__find_program_by_name(x->object, "answer");
    r = bpf_program__set_flags(program, flags);
    if (r == 0)
        r = bpf_map__set_initial_value(bpf_object__find_map_by_name(x->object, ".rodata"), terms,
                                       sizeof(*terms));
    if (r == 0)
        r = bpf_object__load(x->object);
    if (r == 0) {
        x->program = bpf_program__fd(program);
        return 0;
    }
    bpf_object__close(x->object);
    x->object = NULL;
    return r;
}

static int load(struct xdp *x, uint32_t prefix_rate, struct rk_err *err)
{
    struct xdp_terms terms = { .crc = *stun_crc(), .prefix_rate = prefix_rate };
    int r;

    libbpf_set_print(quiet);
    rk_random(terms.key, sizeof(terms.key));
    r = load_with(x, &terms, BPF_F_XDP_HAS_FRAGS);
    if (r ==
        -EINVAL) /* before Linux 5.18, which joins such packets for us or takes no jumbo frames */
        r = load_with(x, &terms, 0);
    if (r == -EPERM || r == -EACCES)
        return rk_fail(err, RK_DENIED,
                       "xdp: the kernel does not let this process load a program: it needs the "
                       "capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
    if (r < 0)
        return rk_fail(err, RK_UNAVAILABLE,
                       "xdp: the kernel does not take the program (%s): Linux 5.11 or later is "
                       "needed",
                       strerror(-r));
    x->addresses = bpf_object__find_map_fd_by_name(x->object, "addresses");
    x->counts = bpf_object__find_map_fd_by_name(x->object, "counts");
    return 0;
}

int xdp_new(const struct xdp_plan *plan,
            uint32_t prefix_rate,
            struct xdp **out_x,
            struct rk_err *err)
{
    rk_auto(xdp_free) struct xdp *x = rk_new(struct xdp);
    int r;

    x->mode = plan->mode;
    x->device_count = plan->device_count;
    for (unsigned i = 0; i < plan->device_count; i++) {
        x->device[i].link = -1;
        memcpy(x->device[i].name, plan->device[i], IF_NAMESIZE);
    }
    r = load(x, prefix_rate, err);
    if (r < 0)
        return r;
    x->cores = (unsigned)libbpf_num_possible_cpus();
    x->count = rk_alloc(x->cores * sizeof(*x->count));
    *out_x = rk_steal(x);
    return 0;
}

void xdp_free(struct xdp *x)
{
    if (!x)
        return;
    for (unsigned i = 0; i < x->device_count; i++)
        if (x->device[i].link >= 0)
            close(x->device[i].link);
    bpf_object__close(x->object);
    free(x->count);
    free(x);
}

int xdp_answer_at(struct xdp *x, const struct rk_addr *address, struct rk_err *err)
{
    const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)&address->ss;
    const struct sockaddr_in *s4 = (const struct sockaddr_in *)&address->ss;
    struct xdp_address key = { .ip = { 0, 0, htonl(0xffff), 0 }, .port = s4->sin_port };
    uint8_t there = 1;

    if (s4->sin_family == AF_INET)
        memcpy(&key.ip[3], &s4->sin_addr, 4);
    else
        memcpy(key.ip, &s6->sin6_addr, sizeof(key.ip));
    if (bpf_map_update_elem(x->addresses, &key, &there, BPF_ANY) < 0)
        return rk_fail(err, RK_EXHAUSTED, "xdp: more than %d addresses", XDP_MAX_ADDRESSES);
    return 0;
}

/* A veth loses what a program at it sends back, unless there is a program at its other end, too:
 * there its driver says that it can, and then nobody is answered. */
static bool driver_can_answer(const char *name)
{
    struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
    struct ifreq ask = { .ifr_data = (void *)&info };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

    memcpy(ask.ifr_name, name, IF_NAMESIZE);
    r = ioctl(fd, SIOCETHTOOL, &ask);
    close(fd);
    return r == 0 && strcmp(info.driver, "veth") != 0;
}

static int attach_as(struct xdp *x, struct device *d, unsigned index, enum xdp_mode mode)
{
    LIBBPF_OPTS(bpf_link_create_opts, opts,
                .flags = mode == XDP_DRIVER ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);

    d->link = bpf_link_create(x->program, (int)index, BPF_XDP, &opts);
    d->mode = mode;
    return d->link < 0 ? -errno : 0;
}

static int attach(struct xdp *x, struct device *d, struct rk_err *err)
{
    unsigned index = if_nametoindex(d->name);
    int r;

    if (index == 0)
        return rk_fail(err, RK_NOT_FOUND, "xdp: there is no network device %s", d->name);
    if (x->mode != XDP_AUTO) {
        r = attach_as(x, d, index, x->mode);
    } else {
        r = driver_can_answer(d->name) ? attach_as(x, d, index, XDP_DRIVER) : -EOPNOTSUPP;
        if (r < 0 && r != -EBUSY)
            r = attach_as(x, d, index, XDP_GENERIC);
    }
    if (r == -EBUSY || r == -EEXIST)
        return rk_fail(err, RK_EXISTS, "xdp: another program is at %s (ip link show %s)", d->name,
                       d->name);
    if (r < 0)
        return rk_fail(err, RK_UNAVAILABLE, "xdp: %s does not take the program: %s", d->name,
                       strerror(-r));
    return 0;
}

/* What was at a device that is gone stays, at none. */
static bool is_at_device(int link)
{
    struct bpf_link_info info = { 0 };
    uint32_t n = sizeof(info);

    return bpf_obj_get_info_by_fd(link, &info, &n) == 0 && info.xdp.ifindex != 0;
}

int xdp_attach(struct xdp *x, struct rk_err *err)
{
    int result = 0;

    for (unsigned i = 0; i < x->device_count; i++) {
        struct device *d = &x->device[i];
        struct rk_err why = { 0 };
        int r;

        if (d->link >= 0 && is_at_device(d->link))
            continue;
        if (d->link >= 0)
            close(d->link);
        d->link = -1;
        r = attach(x, d, &why);
        if (r == 0 || (r == RK_EXISTS && result < 0))
            continue;
        result = r;
        *err = why;
    }
    return result;
}

unsigned xdp_attached(const struct xdp *x)
{
    unsigned n = 0;

    for (unsigned i = 0; i < x->device_count; i++)
        n += x->device[i].link >= 0;
    return n;
}

void xdp_describe(const struct xdp *x, struct rk_buf *out)
{
    for (unsigned i = 0; i < x->device_count; i++)
        rk_buf_printf(out, "%s%s (%s)", i ? ", " : "", x->device[i].name,
                      x->device[i].link < 0 ? "no" : mode_names[x->device[i].mode]);
}

void xdp_counts(const struct xdp *x, int64_t sums[STUN_COUNT_END])
{
    uint32_t zero = 0;

    if (bpf_map_lookup_elem(x->counts, &zero, x->count) < 0)
        return;
    for (unsigned core = 0; core < x->cores; core++)
        for (unsigned k = 0; k < STUN_COUNT_END; k++)
            sums[k] += (int64_t)x->count[core].of[k];
}
