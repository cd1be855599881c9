#pragma once

/*
 * Pace of an account's fan-out: when the next round of maps may begin. The first change after quiet
 * goes out at once. Rounds that follow each other closely drift apart (50, 100, 200, then 400 ms),
 * so that a burst of edits costs a peer a few maps and not one each; and the pause is at least four
 * times as long as the round took (but at most 1 s), so that fan-out never takes more than a fifth
 * of the loop and of the makers. A second without a round is quiet again. Pure; times are of the
 * monotonic clock.
 */

#include <stdint.h>

struct pace {
    uint64_t not_before_ms; /* 0 = at once */
    unsigned step;          /* rounds since quiet, as far as they count */
};

/* How long a round that is wanted at `now_ms` has to wait. */
uint64_t pace_wait(struct pace *p, uint64_t now_ms);
/* A round has ended that took so long. */
void pace_done(struct pace *p, uint64_t now_ms, uint64_t took_ms);
