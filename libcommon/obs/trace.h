#pragma once

/*
 * Trace: the name of one piece of work across services, as W3C Trace Context (level 1) has it. What
 * asks brings it in `traceparent`, or it gets a new one. The thread that works on it says so: from
 * then on its log lines carry it ("trace"), the changes it commits are stored with it, and whom it
 * asks in turn is told. Any thread; what a thread works on is its own.
 */

#include <stdbool.h>

#include "libcommon/base/str.h"

#define RK_TRACE_LEN 32
#define RK_TRACEPARENT_LEN 55

struct rk_trace {
    char id[RK_TRACE_LEN + 1];
    bool sampled; /* who asked records it */
};

/* Section 3.2.2. From a `traceparent`, or a new one when that is none. */
void rk_trace_begin(struct rk_trace *out, struct rk_str traceparent);
/* What to tell who is asked next: the same trace, a parent of our own. */
void rk_trace_format(const struct rk_trace *t, char out[RK_TRACEPARENT_LEN + 1]);

void rk_trace_enter(const struct rk_trace *t); /* is copied */
void rk_trace_leave(void);
const struct rk_trace *rk_trace_current(void); /* NULL: this thread works on none */
