#include "tests/bench/fleet/report.h"

#include <jansson.h>

#include "libcommon/base/alloc.h"

static const double shares[] = { 0.5, 0.9, 0.99, 0.999 };
static const char *const share_names[] = { "p50_ms", "p90_ms", "p99_ms", "p999_ms" };

static double ms(uint64_t us)
{
    return (double)us / 1e3;
}

static void table_times(const struct tally *t, FILE *out)
{
    bool head = false;

    for (unsigned m = 0; m < METRICS; m++) {
        const struct histogram *h = &t->time[m];

        if (h->count == 0)
            continue;
        if (!head)
            (void)fprintf(out, "    %-13s %10s %10s %10s %10s %10s %10s  ms\n", "", "count", "mean",
                          "p50", "p99", "p99.9", "max");
        head = true;
        (void)fprintf(out, "    %-13s %10llu %10.2f %10.2f %10.2f %10.2f %10.2f\n",
                      metric_name((enum metric)m), (unsigned long long)h->count,
                      histogram_mean(h) / 1e3, ms(histogram_at(h, 0.5)), ms(histogram_at(h, 0.99)),
                      ms(histogram_at(h, 0.999)), ms(h->max_us));
    }
}

/* "name number" pairs, several to a line, of those that are not 0. */
static void table_numbers(const uint64_t *value,
                          unsigned count,
                          const char *(*name)(unsigned),
                          const char *title,
                          FILE *out)
{
    unsigned column = 0;

    for (unsigned i = 0; i < count; i++) {
        if (value[i] == 0)
            continue;
        if (column % 5 == 0)
            (void)fprintf(out, "%s    %-7s", column ? "\n" : "", column ? "" : title);
        (void)fprintf(out, " %s %llu%s", name(i), (unsigned long long)value[i], " ");
        column++;
    }
    if (column > 0)
        (void)fputc('\n', out);
}

static const char *name_of_count(unsigned i)
{
    return count_name((enum count)i);
}

static const char *name_of_fault(unsigned i)
{
    return fault_name((enum fault)i);
}

static const char *name_of_status(unsigned i)
{
    return tally_status_name((int)i);
}

void report_table_step(const struct report *r, const struct report_step *s, FILE *out)
{
    const struct tally *t = &s->tally;

    (void)fprintf(out,
                  "%-7s %8.2f s   %llu of %llu online   fleet: %.2f s of CPU, %.1f KB an agent",
                  step_name(s->step->kind), s->seconds, (unsigned long long)t->online,
                  (unsigned long long)t->agents, s->fleet_cpu_s, s->agent_bytes / 1024);
    if (r->watched > 0)
        (void)fprintf(out, "   servers: %.2f s, %.1f MB", s->servers_cpu_s,
                      s->servers_bytes / 1048576);
    (void)fputc('\n', out);
    table_times(t, out);
    table_numbers(t->count, COUNTS, name_of_count, "counts", out);
    table_numbers(t->status, TALLY_STATUSES, name_of_status, "calls", out);
    table_numbers(t->fault, FAULTS, name_of_fault, "FAULTS", out);
    if (t->first_fault[0] != '\0')
        (void)fprintf(out, "    the first of them: %s\n", t->first_fault);
    (void)fputc('\n', out);
    (void)fflush(out);
}

uint64_t report_faults(const struct report *r)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < r->steps; i++)
        sum += tally_faults(&r->step[i].tally);
    return sum;
}

void report_table_end(const struct report *r, FILE *out)
{
    uint64_t faults = report_faults(r);

    if (faults == 0)
        (void)fprintf(out, "%s: everything held\n", r->scenario);
    else
        (void)fprintf(out, "%s: %llu FAULTS\n", r->scenario, (unsigned long long)faults);
}

/* -- JSON -- */

static json_t *json_times(const struct tally *t)
{
    json_t *out = json_object();

    for (unsigned m = 0; m < METRICS; m++) {
        const struct histogram *h = &t->time[m];
        json_t *one;

        if (h->count == 0)
            continue;
        one = json_pack("{s:I,s:f,s:f,s:f}", "count", (json_int_t)h->count, "mean_ms",
                        histogram_mean(h) / 1e3, "min_ms", ms(h->min_us), "max_ms", ms(h->max_us));
        for (unsigned i = 0; i < RK_COUNT(shares); i++)
            json_object_set_new(one, share_names[i], json_real(ms(histogram_at(h, shares[i]))));
        json_object_set_new(out, metric_name((enum metric)m), one);
    }
    return out;
}

static json_t *json_numbers(const uint64_t *value, unsigned count, const char *(*name)(unsigned))
{
    json_t *out = json_object();

    for (unsigned i = 0; i < count; i++)
        if (value[i] > 0)
            json_object_set_new(out, name(i), json_integer((json_int_t)value[i]));
    return out;
}

static json_t *json_step(const struct report *r, const struct report_step *s)
{
    const struct tally *t = &s->tally;
    json_t *out =
        json_pack("{s:s,s:i,s:f,s:I,s:I,s:f,s:f,s:o,s:o,s:o,s:o,s:s}", "step",
                  step_name(s->step->kind), "line", (int)s->step->line, "seconds", s->seconds,
                  "agents", (json_int_t)t->agents, "online", (json_int_t)t->online, "fleet_cpu_s",
                  s->fleet_cpu_s, "agent_bytes", s->agent_bytes, "times", json_times(t), "counts",
                  json_numbers(t->count, COUNTS, name_of_count), "calls",
                  json_numbers(t->status, TALLY_STATUSES, name_of_status), "faults",
                  json_numbers(t->fault, FAULTS, name_of_fault), "first_fault", t->first_fault);

    if (r->watched > 0) {
        json_object_set_new(out, "servers_cpu_s", json_real(s->servers_cpu_s));
        json_object_set_new(out, "servers_bytes", json_real(s->servers_bytes));
    }
    return out;
}

bool report_json(const struct report *r, const char *file)
{
    json_t *steps = json_array(), *all;
    int failed;

    for (unsigned i = 0; i < r->steps; i++)
        json_array_append_new(steps, json_step(r, &r->step[i]));
    all = json_pack("{s:s,s:s,s:s,s:I,s:I,s:i,s:I,s:o}", "scenario", r->scenario, "management",
                    r->management, "run", r->run, "agents", (json_int_t)r->agents, "groups",
                    (json_int_t)r->groups, "processes", (int)r->processes, "faults",
                    (json_int_t)report_faults(r), "steps", steps);
    failed = json_dump_file(all, file, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(all);
    return failed == 0;
}

bool report_histograms(const struct report *r, const char *dir)
{
    for (unsigned i = 0; i < r->steps; i++)
        for (unsigned m = 0; m < METRICS; m++) {
            const struct histogram *h = &r->step[i].tally.time[m];
            rk_auto(rk_cfree) char *path =
                rk_asprintf("%s/%02u-%s-%s.hgrm", dir, i + 1, step_name(r->step[i].step->kind),
                            metric_name((enum metric)m));
            FILE *f;

            if (h->count == 0)
                continue;
            f = fopen(path, "w");
            if (!f)
                return false;
            histogram_write(h, f);
            if (fclose(f) != 0)
                return false;
        }
    return true;
}
