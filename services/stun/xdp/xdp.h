#pragma once

/*
 * The program that answers in the kernel (answer.bpf.c): loads it, tells it where questions are
 * answered, and holds it at devices. It goes with the process, however that ends. Linux 5.11;
 * CAP_BPF, CAP_NET_ADMIN and, to reckon with pointers, CAP_PERFMON. One thread.
 */

#include <stdint.h>

#include <net/if.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "libcommon/conf/addr.h"
#include "services/stun/server/count.h"

#define XDP_MAX_DEVICES 8

/* Which part of the kernel runs the program: the device's driver, with packets that nobody has
 * handled yet, or what comes right after any driver (generic). */
enum xdp_mode {
    XDP_AUTO, /* the driver if it can */
    XDP_DRIVER,
    XDP_GENERIC,
};

struct xdp_plan {
    char device[XDP_MAX_DEVICES][IF_NAMESIZE];
    unsigned device_count;
    enum xdp_mode mode;
};

/* From settings: names of devices, a comma list, which may be empty; auto, driver or generic. */
int xdp_plan_parse(const char *devices,
                   const char *mode,
                   struct xdp_plan *out_plan,
                   struct rk_err *err);

struct xdp;

/* Loads the program; it is at no device yet. `prefix_rate`: limit/rate.h, of each core. */
int xdp_new(const struct xdp_plan *plan,
            uint32_t prefix_rate,
            struct xdp **out_x,
            struct rk_err *err);
void xdp_free(struct xdp *x); /* takes it from its devices */
RK_DEFINE_AUTO(struct xdp, xdp_free)

/* No wildcard. RK_EXHAUSTED: over XDP_MAX_ADDRESSES, and the threads go on answering there. */
int xdp_answer_at(struct xdp *x, const struct rk_addr *address, struct rk_err *err);

/* At every device of the plan where it is not (any more), each of which is tried: 0 when it is at
 * all of them. RK_EXISTS: another program is at one, most likely that of a process that this one is
 * to replace. */
int xdp_attach(struct xdp *x, struct rk_err *err);
unsigned xdp_attached(const struct xdp *x);
void xdp_describe(const struct xdp *x, struct rk_buf *out); /* "eth0 (driver), eth1 (no)" */

void xdp_counts(const struct xdp *x, int64_t sums[STUN_COUNT_END]); /* adds */
