/* Any header; what comes of it is a trace that others take for the same one. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/obs/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char text[RK_TRACEPARENT_LEN + 1];
    struct rk_trace t, again;

    rk_trace_begin(&t, rk_strn((const char *)p, n));
    assert(strlen(t.id) == RK_TRACE_LEN);
    rk_trace_format(&t, text);
    assert(strlen(text) == RK_TRACEPARENT_LEN);
    rk_trace_begin(&again, rk_str(text));
    assert(strcmp(t.id, again.id) == 0 && t.sampled == again.sampled);
    return 0;
}
