/*
 * A wall clock that a test sets. Preloaded into a program, it adds the nanoseconds that the file
 * TEST_CLOCK holds (eight bytes) to what the system says; the monotonic clock stays, as when
 * somebody sets the time.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND ((int64_t)1000000000)

static const volatile int64_t *ahead_ns;

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("TEST_CLOCK");
    int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*ahead_ns), PROT_READ, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED)
        abort();
    (void)close(fd);
    ahead_ns = p;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int r = (int)syscall(SYS_clock_gettime, id, ts);
    int64_t ns;

    if (r != 0 || !ahead_ns || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
        return r;
    ns = (int64_t)ts->tv_sec * SECOND + ts->tv_nsec + *ahead_ns;
    *ts = (struct timespec){ .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };
    return 0;
}

int gettimeofday(struct timeval *tv, void *zone)
{
    struct timespec ts;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
        return -1;
    *tv = (struct timeval){ .tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000 };
    return 0;
}

time_t time(time_t *out)
{
    struct timespec ts = { 0 };

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    if (out)
        *out = ts.tv_sec;
    return ts.tv_sec;
}
