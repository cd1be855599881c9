/* See sched.h. */

#include "libcommon/loop/sched.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

bool rk_sched_get(struct rk_sched *s)
{
    return syscall(SYS_sched_getattr, 0, s, sizeof(*s), 0) == 0;
}

bool rk_sched_set(struct rk_sched *s)
{
    s->size = sizeof(*s);
    return syscall(SYS_sched_setattr, 0, s, 0) == 0;
}

void rk_sched_batch(int nice, uint64_t slice_ns)
{
    struct rk_sched s = { .policy = SCHED_BATCH, .nice = nice, .runtime = slice_ns };

    if (!rk_sched_set(&s))
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), nice);
}
