#include "services/management/fanout/pace.h"

#define PAUSE_MIN_MS 50
#define PAUSE_STEPS 3
#define PAUSE_MAX_MS 1000
#define PAUSE_FACTOR 4
#define QUIET_MS 1000

uint64_t pace_wait(struct pace *p, uint64_t now_ms)
{
    if (p->not_before_ms > now_ms)
        return p->not_before_ms - now_ms;
    if (now_ms - p->not_before_ms >= QUIET_MS)
        p->step = 0;
    return 0;
}

void pace_done(struct pace *p, uint64_t now_ms, uint64_t took_ms)
{
    uint64_t pause = (uint64_t)PAUSE_MIN_MS << p->step;

    if (took_ms * PAUSE_FACTOR > pause)
        pause = took_ms * PAUSE_FACTOR;
    if (pause > PAUSE_MAX_MS)
        pause = PAUSE_MAX_MS;
    p->not_before_ms = now_ms + pause;
    if (p->step < PAUSE_STEPS)
        p->step++;
}
