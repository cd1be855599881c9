#pragma once

/* What a run has shown, as a table for people, as JSON, and as histograms. One thread. */

#include <stdio.h>

#include "tests/bench/fleet/scenario.h"
#include "tests/bench/fleet/tally.h"

struct report_step {
    const struct step *step;
    double seconds;
    double fleet_cpu_s, servers_cpu_s; /* servers: those watched */
    double servers_bytes;              /* private, at the end of the step */
    double agent_bytes;                /* private, of the fleet, for each agent */
    struct tally tally;
};

struct report {
    const char *scenario, *management, *run;
    uint64_t agents, groups;
    unsigned processes, steps, watched;
    struct report_step *step; /* of SCENARIO_MAX_STEPS */
};

void report_table_step(const struct report *r, const struct report_step *s, FILE *out);
void report_table_end(const struct report *r, FILE *out);
/* False: it cannot be written. */
bool report_json(const struct report *r, const char *file) RK_CHECKED;
/* A file "<number>-<step>-<what>.hgrm" for each in a directory that is there. */
bool report_histograms(const struct report *r, const char *dir) RK_CHECKED;
uint64_t report_faults(const struct report *r);
