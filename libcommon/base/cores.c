#include "libcommon/base/cores.h"

#include <unistd.h>

unsigned rk_cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : (unsigned)n;
}
