#include "libcommon/loop/slice.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As the kernel has it; the C library has neither the calls nor this. */
struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

void rk_slice_short(void)
{
    struct attr a = { 0 };

    if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) < 0 || a.policy != SCHED_OTHER)
        return;
    a.runtime = RK_SLICE_NS;
    (void)syscall(SYS_sched_setattr, 0, &a, 0);
}
