#pragma once

/* Report: what the checks found, a line each or as JSON, and the worst of it. Main thread. */

#include <stdio.h>

#include "libcommon/base/buf.h"
#include "tools/doctor/check.h"

struct report {
    FILE *out;
    bool json;
    unsigned count[3];  /* by verdict */
    struct rk_buf text; /* the JSON so far */
};

void report_begin(struct report *r, FILE *out, bool json);
/* The findings of one check, at once unless it is JSON. */
void report_tell(struct report *r, const struct check *c);
/* 0, 1, 2: nothing amiss, warnings, failures. */
int report_end(struct report *r);
