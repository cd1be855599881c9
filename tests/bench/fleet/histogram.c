/*
 * Bins as HdrHistogram lays them out: below HISTOGRAM_SUB each value has its own, and from there on
 * every doubling is cut into HISTOGRAM_SUB equal steps.
 */

#include "tests/bench/fleet/histogram.h"

#include <math.h>
#include <string.h>

void histogram_clear(struct histogram *h)
{
    memset(h, 0, sizeof(*h));
}

static unsigned bin_of(uint64_t us)
{
    unsigned top, shift, bin;

    if (us < HISTOGRAM_SUB)
        return (unsigned)us;
    top = 63 - (unsigned)__builtin_clzll(us); /* at least 7 */
    shift = top - 7;
    bin = HISTOGRAM_SUB * (shift + 1) + (unsigned)((us >> shift) - HISTOGRAM_SUB);
    return bin < HISTOGRAM_BINS ? bin : HISTOGRAM_BINS - 1;
}

/* The largest value of a bin. */
static uint64_t top_of(unsigned bin)
{
    unsigned shift;

    if (bin < HISTOGRAM_SUB)
        return bin;
    shift = bin / HISTOGRAM_SUB - 1;
    return (((uint64_t)HISTOGRAM_SUB + bin % HISTOGRAM_SUB + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t us)
{
    h->bin[bin_of(us)]++;
    if (h->count == 0 || us < h->min_us)
        h->min_us = us;
    if (us > h->max_us)
        h->max_us = us;
    h->count++;
    h->sum_us += us;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->count == 0)
        return;
    for (unsigned i = 0; i < HISTOGRAM_BINS; i++)
        into->bin[i] += from->bin[i];
    if (into->count == 0 || from->min_us < into->min_us)
        into->min_us = from->min_us;
    if (from->max_us > into->max_us)
        into->max_us = from->max_us;
    into->count += from->count;
    into->sum_us += from->sum_us;
}

uint64_t histogram_at(const struct histogram *h, double share)
{
    uint64_t want = (uint64_t)ceil(share * (double)h->count), seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BINS && h->count > 0; i++) {
        seen += h->bin[i];
        if (seen > 0 && seen >= want)
            return top_of(i) < h->max_us ? top_of(i) : h->max_us;
    }
    return h->max_us;
}

double histogram_mean(const struct histogram *h)
{
    return h->count > 0 ? (double)h->sum_us / (double)h->count : 0;
}

void histogram_write(const struct histogram *h, FILE *out)
{
    uint64_t seen = 0;

    (void)fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
                  "1/(1-Percentile)");
    for (unsigned i = 0; i < HISTOGRAM_BINS; i++) {
        double share, value = (double)(top_of(i) < h->max_us ? top_of(i) : h->max_us) / 1e3;

        if (h->bin[i] == 0)
            continue;
        seen += h->bin[i];
        share = (double)seen / (double)h->count;
        (void)fprintf(out, "%12.3f %2.12f %10llu", value, share, (unsigned long long)seen);
        if (seen < h->count)
            (void)fprintf(out, " %14.2f", 1 / (1 - share));
        (void)fputc('\n', out);
    }
    (void)fprintf(out, "#[Mean    = %12.3f, Max = %12.3f, Total count = %llu]\n",
                  histogram_mean(h) / 1e3, (double)h->max_us / 1e3, (unsigned long long)h->count);
}
