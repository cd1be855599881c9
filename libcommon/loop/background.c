/* See background.h. */

#include "libcommon/loop/background.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/loop/sched.h"

#define TURN_NS 100000000u
#define REST_MAX_NS 2000000000u

/* What /proc says of this thread: on a core, waiting for one, turns. 0 where it does not. */
static struct rk_background so_far(void)
{
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    struct rk_background b = { 0, 0 };
    struct rk_str rest, ran, waited;
    char text[80];
    ssize_t n;

    if (fd < 0)
        return b;
    n = read(fd, text, sizeof(text));
    (void)close(fd);
    if (n <= 0)
        return b;
    rest = rk_strn(text, (size_t)n);
    if (rk_str_next(&rest, ' ', &ran) && rk_str_next(&rest, ' ', &waited) &&
        rk_str_u64(ran, &b.ran_ns))
        (void)rk_str_u64(waited, &b.waited_ns);
    return b;
}

void rk_background_begin(struct rk_background *b)
{
    rk_sched_batch(RK_BACKGROUND_NICE, TURN_NS);
    *b = so_far();
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t rk_background_rest_ns(uint64_t ran_ns, uint64_t waited_ns)
{
    return least(8 * least(waited_ns, REST_MAX_NS),
                 least(9 * least(ran_ns, REST_MAX_NS), REST_MAX_NS));
}

uint64_t rk_background_rest(struct rk_background *b)
{
    struct rk_background now = so_far();
    uint64_t ns = rk_background_rest_ns(now.ran_ns - b->ran_ns, now.waited_ns - b->waited_ns);

    *b = now;
    return ns;
}

unsigned rk_background_threads(unsigned cores, unsigned most)
{
    unsigned half = cores > 3 ? cores / 2 : 1;

    return half < most ? half : most;
}
