/* See background.h. */

#include "libcommon/loop/background.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/str.h"

#define NICE 5
#define TURN_NS 100000000u
#define REST_MAX_NS 500000000u

/* struct sched_attr of sched_setattr(2), as of its first version; glibc has none. */
struct attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* What /proc says of this thread: on a core, waiting for one, turns. 0 where it does not. */
static uint64_t waited(void)
{
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    struct rk_str rest, word = { NULL, 0 };
    char text[80];
    uint64_t ns;
    ssize_t n;

    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof(text));
    (void)close(fd);
    if (n <= 0)
        return 0;
    rest = rk_strn(text, (size_t)n);
    (void)rk_str_next(&rest, ' ', &word);
    (void)rk_str_next(&rest, ' ', &word);
    return rk_str_u64(word, &ns) ? ns : 0;
}

void rk_background_begin(struct rk_background *b)
{
    const struct attr attr = {
        .size = sizeof(attr), .policy = SCHED_BATCH, .nice = NICE, .runtime = TURN_NS
    };

    if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    b->waited_ns = waited();
}

uint64_t rk_background_rest_ns(uint64_t waited_ns)
{
    return waited_ns < REST_MAX_NS / 2 ? 2 * waited_ns : REST_MAX_NS;
}

void rk_background_rest(struct rk_background *b)
{
    uint64_t now = waited(), ns = rk_background_rest_ns(now - b->waited_ns);

    b->waited_ns = now;
    (void)nanosleep(&(struct timespec){ .tv_nsec = (long)ns }, NULL);
}

unsigned rk_background_threads(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores > 3 ? (unsigned)cores / 2 : 1;
}
