/* See trace.h. */

#include "libcommon/obs/trace.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <pthread.h>

#include "libcommon/base/encode.h"
#include "libcommon/base/id.h"

#define PARENT_LEN 16

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t process; /* random */
static _Atomic uint64_t counter;

static _Thread_local struct rk_trace current;

static void init(void)
{
    uint64_t start;

    rk_random(&process, sizeof(process));
    rk_random(&start, sizeof(start));
    atomic_store(&counter, start);
}

/* Differs from every other: asking the kernel for each would cost more than some requests do. */
static uint64_t next(void)
{
    (void)pthread_once(&once, init);
    return atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
}

/* Lower-case hex digits, not all of them zeros. */
static bool id_valid(struct rk_str s)
{
    bool zeros = true;

    for (size_t i = 0; i < s.n; i++) {
        if (!memchr("0123456789abcdef", s.p[i], 16))
            return false;
        zeros &= s.p[i] == '0';
    }
    return !zeros;
}

/* version "-" trace-id "-" parent-id "-" flags; a version that we do not know may go on after it.
 */
static bool parse(struct rk_str s, struct rk_trace *out)
{
    uint8_t version, flags;
    size_t n;

    if (s.n < RK_TRACEPARENT_LEN || s.p[2] != '-' || s.p[35] != '-' || s.p[52] != '-')
        return false;
    if (!rk_hex_decode(rk_strn(s.p, 2), &version, 1, &n) || version == 0xff)
        return false;
    if (s.n > RK_TRACEPARENT_LEN && (version == 0 || s.p[RK_TRACEPARENT_LEN] != '-'))
        return false;
    if (!id_valid(rk_strn(s.p + 3, RK_TRACE_LEN)) || !id_valid(rk_strn(s.p + 36, PARENT_LEN)) ||
        !rk_hex_decode(rk_strn(s.p + 53, 2), &flags, 1, &n))
        return false;
    memcpy(out->id, s.p + 3, RK_TRACE_LEN);
    out->id[RK_TRACE_LEN] = '\0';
    out->sampled = flags & 1;
    return true;
}

void rk_trace_begin(struct rk_trace *out, struct rk_str traceparent)
{
    uint64_t raw[2];

    if (parse(traceparent, out))
        return;
    raw[1] = next();
    raw[0] = process;
    rk_hex_encode(raw, sizeof(raw), out->id);
    out->sampled = false;
}

void rk_trace_format(const struct rk_trace *t, char out[RK_TRACEPARENT_LEN + 1])
{
    uint64_t parent = next();

    parent ^= process; /* not what a trace of ours ends in */
    (void)snprintf(out, RK_TRACEPARENT_LEN + 1, "00-%s-%016llx-%02x", t->id,
                   (unsigned long long)(parent ? parent : 1), t->sampled);
}

void rk_trace_enter(const struct rk_trace *t)
{
    current = *t;
}

void rk_trace_leave(void)
{
    current.id[0] = '\0';
}

const struct rk_trace *rk_trace_current(void)
{
    return current.id[0] ? &current : NULL;
}
