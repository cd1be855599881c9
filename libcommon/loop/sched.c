/* See sched.h. */

#include "libcommon/loop/sched.h"

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
