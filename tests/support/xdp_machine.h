#pragma once

/*
 * The program of services/stun/xdp/answer.bpf.c as ordinary code, in place of the kernel's machine:
 * its maps and helpers are here. Included once by a test or a fuzz target; one thread.
 */

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "libcommon/base/attr.h"
#include "services/stun/message/stun.h"
#include "services/stun/xdp/shared.h"

/* What bpf/bpf_helpers.h says there. */
#define __BPF_HELPERS__
#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, value) __typeof__(value) *name

static void *bpf_map_lookup_elem(const void *map, const void *key);
static uint64_t bpf_ktime_get_coarse_ns(void);
static int bpf_xdp_adjust_head(struct xdp_md *ctx, int by);

/* There a constant of the program, written by its loader: here the test's. */
static struct xdp_terms machine_terms;
#define terms (*terms_of_test)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Waddress-of-packed-member"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wcast-qual"
#include "services/stun/xdp/answer.bpf.c"
#pragma GCC diagnostic pop
#undef terms

#define MACHINE_HEADROOM 256
#define MACHINE_FRAME 2048
/* Kernels receive where the IP header is aligned. */
#define MACHINE_ALIGN 2

static struct xdp_address machine_address[4];
static unsigned machine_addresses;
static struct place machine_place[RATE_PLACES];
static struct xdp_counts machine_counts;
static uint64_t machine_now_ns;

/* A frame lies at the end of its page, and nothing after that. Addresses of the kernel's machine
 * have 32 bits. */
static struct {
    uint8_t *page;
    size_t size;
    uint8_t *headroom;
    struct xdp_md ctx;
} machine;

static void *bpf_map_lookup_elem(const void *map, const void *key)
{
    static uint8_t there = 1;

    if (map == &counts)
        return &machine_counts;
    if (map == &places) {
        uint32_t at;

        memcpy(&at, key, sizeof(at));
        return at < RATE_PLACES ? &machine_place[at] : NULL;
    }
    assert(map == &addresses);
    for (unsigned i = 0; i < machine_addresses; i++)
        if (memcmp(&machine_address[i], key, sizeof(machine_address[i])) == 0)
            return &there;
    return NULL;
}

static uint64_t bpf_ktime_get_coarse_ns(void)
{
    return machine_now_ns;
}

static int bpf_xdp_adjust_head(struct xdp_md *ctx, int by)
{
    uint8_t *to = (uint8_t *)(uintptr_t)ctx->data + by;

    if (to < machine.headroom)
        return -1;
    ctx->data = (uint32_t)(uintptr_t)to;
    return 0;
}

static void machine_set_up(uint32_t prefix_rate)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    machine_terms = (struct xdp_terms){ .crc = *stun_crc(), .key = { 1, 2 } };
    machine_terms.prefix_rate = prefix_rate;
    terms_of_test = &machine_terms;
    memset(machine_place, 0, sizeof(machine_place));
    memset(&machine_counts, 0, sizeof(machine_counts));
    machine_addresses = 0;
    if (machine.page)
        return;
    machine.size = page;
    machine.page = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    assert(machine.page != MAP_FAILED);
    assert(mprotect(machine.page + page, page, PROT_NONE) == 0);
}

/* `ip`: of IPv4 the mapped address. */
static void machine_answer_at(const uint8_t ip[16], uint16_t port)
{
    struct xdp_address *a = &machine_address[machine_addresses++];

    assert(machine_addresses <= RK_COUNT(machine_address));
    *a = (struct xdp_address){ .port = stun_be16(port) };
    memcpy(a->ip, ip, sizeof(a->ip));
}

/* Runs the program on a frame of at most MACHINE_FRAME: what it says, and the frame that is there
 * then. */
static int machine_run(const uint8_t *frame, size_t n, const uint8_t **out_frame, size_t *out_n)
{
    uint8_t *at = machine.page + machine.size - n;
    int r;

    assert(n <= MACHINE_FRAME);
    at -= ((uintptr_t)at - MACHINE_ALIGN) & 3;
    memcpy(at, frame, n);
    machine.headroom = at - MACHINE_HEADROOM;
    machine.ctx = (struct xdp_md){ .data = (uint32_t)(uintptr_t)at,
                                   .data_end = (uint32_t)(uintptr_t)(at + n) };
    r = answer(&machine.ctx);
    *out_frame = (const uint8_t *)(uintptr_t)machine.ctx.data;
    *out_n = machine.ctx.data_end - machine.ctx.data;
    return r;
}
