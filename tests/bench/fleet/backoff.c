#include "tests/bench/fleet/backoff.h"

#include <stdlib.h>

const struct backoff_rule backoff_engine = { 1000, 15000, 1.7, 1.0 };
const struct backoff_rule backoff_stream = { 800, 10000, 1.7, 1.0 };
const struct backoff_rule backoff_dial = { 500, 10000, 1.5, 0.5 };
const struct backoff_rule backoff_channel = { 1000, 120000, 1.6, 0.2 };
const struct backoff_rule backoff_relay = { 2000, 60000, 2.0, 0.5 };

uint32_t backoff_next(struct backoff *b, const struct backoff_rule *rule)
{
    double spread, now;

    if (b->interval_ms == 0)
        b->interval_ms = rule->first_ms;
    now = b->interval_ms;
    spread = 1 + rule->jitter * (2 * drand48() - 1);
    b->interval_ms =
        now * rule->factor < rule->cap_ms ? (uint32_t)(now * rule->factor) : rule->cap_ms;
    return (uint32_t)(now * spread);
}
