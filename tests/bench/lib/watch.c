#include "tests/bench/lib/watch.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "tests/bench/lib/report.h"

/* 0: neither. */
static pid_t process_or_core(struct rk_str text)
{
    struct rk_str core = rk_str("core:");
    uint64_t n;

    if (rk_str_starts(text, core))
        return rk_str_u64(rk_strn(text.p + core.n, text.n - core.n), &n) ? -1 - (pid_t)n : 0;
    return rk_str_u64(text, &n) ? (pid_t)n : 0;
}

void watch_init(struct watch *w, char **pids, int count)
{
    w->count = 0;
    for (int i = 0; i < count; i++) {
        pid_t pid = process_or_core(rk_str(pids[i]));

        if (w->count == WATCH_MAX || pid == 0)
            bench_die("%s: neither a process id nor a core, or too many of them", pids[i]);
        w->pid[w->count++] = pid;
    }
}

/* 0 for a process that has gone: its parent has it among the waited for. */
static double own_us(pid_t pid)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return 0;
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* /proc/PID/stat: fields 16 and 17 are the ticks of the children that were waited for; the name in
 * field 2 may hold anything but ends at the last bracket. */
static double waited_us(pid_t pid)
{
    char path[64], line[1024], *p;
    unsigned long user = 0, sys = 0;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    f = fopen(path, "r");
    if (!f)
        bench_die("process %d has ended", pid);
    p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
    (void)fclose(f);
    if (!p || sscanf(p + 1, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu", &user,
                     &sys) != 2)
        bench_die("%s: unexpected text", path);
    return (double)(user + sys) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static double children_us(pid_t pid)
{
    char path[64];
    double sum = 0;
    int child;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    f = fopen(path, "r");
    while (f && fscanf(f, "%d", &child) == 1)
        sum += own_us(child);
    if (f)
        (void)fclose(f);
    return sum;
}

/* /proc/stat: user nice system idle iowait irq softirq. */
static double core_us(int core)
{
    unsigned long user, nice_ones, sys, idle, waiting, irq, softirq;
    char line[256], name[16];
    double ticks = -1;
    FILE *f;

    (void)snprintf(name, sizeof(name), "cpu%d ", core);
    f = fopen("/proc/stat", "r");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, name, strlen(name)) == 0 &&
            sscanf(line + strlen(name), "%lu %lu %lu %lu %lu %lu %lu", &user, &nice_ones, &sys,
                   &idle, &waiting, &irq, &softirq) == 7)
            ticks = (double)(user + nice_ones + sys + irq + softirq);
    if (f)
        (void)fclose(f);
    if (ticks < 0)
        bench_die("/proc/stat: there is no core %d", core);
    return ticks * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static double process_us(pid_t pid)
{
    if (pid < 0)
        return core_us(-1 - pid);
    return own_us(pid) + waited_us(pid) + children_us(pid);
}

double watch_cpu_us(const struct watch *w)
{
    double sum = 0;

    for (unsigned i = 0; i < w->count; i++)
        sum += process_us(w->pid[i]);
    return sum;
}

double watch_first_cpu_us(const struct watch *w)
{
    return w->count > 0 ? process_us(w->pid[0]) : 0;
}

static double private_bytes(pid_t pid)
{
    char path[64], line[256];
    long sum = 0, v;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    f = fopen(path, "r");
    if (!f)
        bench_die("process %d has ended", pid);
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "Private_Dirty: %ld", &v) == 1)
            sum += v;
    (void)fclose(f);
    return (double)sum * 1024;
}

double watch_private_bytes(const struct watch *w)
{
    double sum = 0;

    for (unsigned i = 0; i < w->count; i++)
        sum += private_bytes(w->pid[i]);
    return sum;
}

double watch_first_private_bytes(const struct watch *w)
{
    return w->count > 0 ? private_bytes(w->pid[0]) : 0;
}
