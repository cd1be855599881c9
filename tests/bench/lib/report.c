#include "tests/bench/lib/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/str.h"
#include "libcommon/conf/addr.h"

#define BINS 1000000

void bench_die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    exit(1);
}

void bench_value(const char *name, double value)
{
    printf("%s %.9g\n", name, value);
    (void)fflush(stdout); /* a long run can be followed */
}

uint64_t bench_number(const char *arg, uint64_t min, uint64_t max)
{
    uint64_t v;

    if (!rk_str_u64(rk_str(arg), &v) || v < min || v > max)
        bench_die("'%s' is no number from %llu to %llu", arg, (unsigned long long)min,
                  (unsigned long long)max);
    return v;
}

struct sockaddr_in bench_address(const char *arg)
{
    struct sockaddr_in out = { 0 };
    struct rk_err err = { 0 };
    struct rk_addr a;

    if (rk_addr_parse(rk_str(arg), &a, &err) < 0 || a.ss.ss_family != AF_INET)
        bench_die("'%s' is no IPv4 address with a port", arg);
    memcpy(&out, &a.ss, sizeof(out));
    return out;
}

int bench_listen(const struct sockaddr_in *self)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (const struct sockaddr *)self, sizeof(*self)) < 0 ||
        listen(fd, 4096) < 0)
        bench_die("listening: %s", strerror(errno));
    return fd;
}

void bench_times_init(struct bench_times *t)
{
    t->bin = rk_new_array(uint32_t, BINS);
    t->count = 0;
}

void bench_times_done(struct bench_times *t)
{
    free(t->bin);
    t->bin = NULL;
}

void bench_times_add(struct bench_times *t, uint64_t ns)
{
    uint64_t us = ns / 1000;

    t->bin[us < BINS ? us : BINS - 1]++;
    t->count++;
}

double bench_times_us(const struct bench_times *t, double share)
{
    uint64_t seen = 0;

    for (unsigned i = 0; i < BINS; i++) {
        seen += t->bin[i];
        if ((double)seen >= share * (double)t->count && t->count > 0)
            return (double)i;
    }
    return 0;
}
