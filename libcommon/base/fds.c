#include "libcommon/base/fds.h"

#include <sys/resource.h>

void rk_fds_raise(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
}

uint64_t rk_fds_max(void)
{
    struct rlimit l;

    return getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur == RLIM_INFINITY ? UINT64_MAX
                                                                           : l.rlim_cur;
}
