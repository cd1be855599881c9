#pragma once

/*
 * What watched processes cost: CPU time (user and system) to the nanosecond, and private resident
 * memory. A process counts with its living children and with those it has waited for, so that
 * Postgres is watched by its first process. Any thread.
 *
 * In place of a process may stand a core, "core:0": all that it does, in ticks. What the kernel
 * does for nobody in particular counts there only.
 */

#include <stdint.h>
#include <sys/types.h>

#define WATCH_MAX 32

struct watch {
    pid_t pid[WATCH_MAX]; /* below 0: the core -1 - pid */
    unsigned count;
};

/* Process ids in decimal, or cores; ends the program when there are too many or one is none. */
void watch_init(struct watch *w, char **pids, int count);
double watch_cpu_us(const struct watch *w);
/* Of the first process alone. */
double watch_first_cpu_us(const struct watch *w);
/* Private_Dirty of all of them, or of the first alone, bytes: what they have written to. Clean
 * pages are files', and private only until another process maps the same library. Children are
 * not counted. */
double watch_private_bytes(const struct watch *w);
double watch_first_private_bytes(const struct watch *w);
