#pragma once

/*
 * How a load generator speaks to tests/bench/run: one measured value a line, "name value", on
 * stdout; anything wrong ends it with a message and status 1, so that no figure comes from a run
 * that failed. Any thread.
 */

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/attr.h"

void bench_die(const char *fmt, ...) RK_PRINTF(1, 2) __attribute__((noreturn));
void bench_value(const char *name, double value);

/* The argument as a whole number from min to max; ends the program otherwise. */
uint64_t bench_number(const char *arg, uint64_t min, uint64_t max);

/* The argument, "1.2.3.4:80"; ends the program when it is something else. */
struct sockaddr_in bench_address(const char *arg);

/* A listening socket there. */
int bench_listen(const struct sockaddr_in *self);

/* Times in a histogram of whole microseconds, up to one second. */
struct bench_times {
    uint32_t *bin;
    uint64_t count;
};
void bench_times_init(struct bench_times *t);
void bench_times_done(struct bench_times *t);
void bench_times_add(struct bench_times *t, uint64_t ns);
double bench_times_us(const struct bench_times *t, double share); /* 0.5: the median */
