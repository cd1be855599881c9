#pragma once

/*
 * Times in a high dynamic range histogram: from 1 us to 19 hours, each value kept to 1 part in 128.
 * It holds no pointer, so it may lie in memory that processes share. Adding is for one thread a
 * histogram.
 */

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_SUB 128 /* steps to each doubling, and the values below it are exact */
#define HISTOGRAM_DOUBLINGS 29
#define HISTOGRAM_BINS (HISTOGRAM_SUB * (HISTOGRAM_DOUBLINGS + 1))

struct histogram {
    uint64_t count, sum_us, min_us, max_us;
    uint64_t bin[HISTOGRAM_BINS];
};

void histogram_clear(struct histogram *h);
/* Longer ones count as the longest. */
void histogram_add(struct histogram *h, uint64_t us);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The value that this share of all is at or below, at most the largest seen; 0 of none. */
uint64_t histogram_at(const struct histogram *h, double share);
double histogram_mean(const struct histogram *h);
/* Percentiles as HdrHistogram's tools write and plot them (.hgrm), in milliseconds. */
void histogram_write(const struct histogram *h, FILE *out);
