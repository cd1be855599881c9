#pragma once

/*
 * How a stock agent waits between tries: an interval that grows, and a wait drawn evenly from it
 * and its jitter on both sides. The tables of an agent's loops are here, each with what resets it.
 * Pure but for the random number; any thread.
 */

#include <stdint.h>

struct backoff_rule {
    uint32_t first_ms, cap_ms;
    double factor;
    double jitter; /* 1.0: from 0 to twice the interval */
};

/* The whole agent: dial, Login, engine; reset after each run of the engine. */
extern const struct backoff_rule backoff_engine;
/* A stream of management's or signal's; reset whenever the stream is opened, whatever the answer.
 */
extern const struct backoff_rule backoff_stream;
/* Dialing, within 10 s in all. */
extern const struct backoff_rule backoff_dial;
/* grpc-go's own, of a connection that was up. */
extern const struct backoff_rule backoff_channel;
/* Relays, after the one quick try. */
extern const struct backoff_rule backoff_relay;

#define BACKOFF_RELAY_QUICK_MS 200

struct backoff {
    uint32_t interval_ms; /* 0: reset */
};

static inline void backoff_reset(struct backoff *b)
{
    b->interval_ms = 0;
}
/* The next wait, ms. */
uint32_t backoff_next(struct backoff *b, const struct backoff_rule *rule);
