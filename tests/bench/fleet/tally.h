#pragma once

/*
 * What one process of the fleet has measured in a step: times, counts and faults. It lies in memory
 * shared with the conductor, who reads it when the process has said that the step is over, and
 * clears it before the next: no lock. One thread at a time.
 */

#include <stdint.h>

#include "libcommon/base/attr.h"
#include "tests/bench/fleet/histogram.h"

enum metric {
    METRIC_KEY,          /* GetServerKey */
    METRIC_LOGIN,        /* Login, each, of known agents and with a key */
    METRIC_MAP,          /* Sync opened to its first map */
    METRIC_ONLINE,       /* an agent's start to everything up and its first map */
    METRIC_BACK,         /* something was lost to everything up again */
    METRIC_CHANGE,       /* REST has answered to the change in an agent's map */
    METRIC_CHANGE_LAST,  /* the same, to the last of the group */
    METRIC_SIGNAL_READY, /* ConnectStream to registered */
    METRIC_OFFER,        /* sent to arrived */
    METRIC_ANSWER,       /* an offer sent to its answer arrived */
    METRIC_RELAY_READY,  /* connecting to AUTH_RESPONSE */
    METRIC_PACKET,       /* by relay, sent to arrived */
    METRIC_STUN,         /* request to answer */
    METRIC_REST,         /* a change, request to answer; the conductor's own */
    METRICS,
};

enum count {
    COUNT_STARTS, /* of agents */
    COUNT_MAPS,
    COUNT_MAP_BYTES,
    COUNT_PUSHES,     /* Sync messages without a map */
    COUNT_STREAM_END, /* Sync, Job and ConnectStream that were ended by the server */
    COUNT_LOST,       /* connections that broke, and were not cut by us */
    COUNT_REFUSED,    /* connections that did not come up */
    COUNT_RETRIES,    /* calls that failed and that the agent repeats by itself */
    COUNT_SILENT,     /* connections that an agent gave up as dead */
    COUNT_HEARTBEATS, /* to itself, through signal */
    COUNT_OFFERS,
    COUNT_OFFERS_ARRIVED,
    COUNT_ANSWERS_ARRIVED,
    COUNT_PACKETS,
    COUNT_PACKETS_ARRIVED,
    COUNT_STUN,
    COUNT_STUN_ANSWERED,
    COUNT_CHANGES,
    COUNTS,
};

/* What must not happen. */
enum fault {
    FAULT_SHOWN,         /* an error that an agent would show its user */
    FAULT_NOT_AUTHENTIC, /* a message that does not open */
    FAULT_UNREADABLE,
    FAULT_STRANGER,    /* a map with an agent of another group, or with its own owner */
    FAULT_MISSING,     /* a map without one of the group, when nothing changes any more */
    FAULT_TWICE,       /* a map that holds an agent twice */
    FAULT_KEY,         /* a map with a wrong key for an agent */
    FAULT_SERIAL_BACK, /* a map older than the one before */
    FAULT_CHANGE_BACK, /* a change that was in the map before is not in this one */
    FAULT_CHANGE_LOST, /* a change that REST has acknowledged is in no map */
    FAULT_DIFFERS,     /* a fresh map is not the one the agent held, of the same serial */
    FAULT_MESSAGE,     /* from signal or relay: not what was sent */
    FAULT_ADDRESS,     /* STUN told an address that is not ours; an agent's address has changed */
    FAULT_LATE,        /* the step was not done in time */
    FAULTS,
};

#define TALLY_STATUSES 17
#define TALLY_TEXT 256

struct tally {
    struct histogram time[METRICS];
    uint64_t count[COUNTS];
    uint64_t fault[FAULTS];
    uint64_t status[TALLY_STATUSES]; /* calls that ended with it, but OK */
    char first_fault[TALLY_TEXT];    /* the first one in words; empty: none */
    uint64_t online, agents;         /* at the end of the step */
};

const char *metric_name(enum metric m);
const char *count_name(enum count c);
const char *fault_name(enum fault f);
const char *tally_status_name(int status); /* of gRPC */

/* `n` tallies in shared memory, cleared. Never NULL. */
struct tally *tally_shared(unsigned n);
void tally_clear(struct tally *t);
void tally_merge(struct tally *into, const struct tally *from);
void tally_time(struct tally *t, enum metric m, uint64_t ns);
void tally_fault(struct tally *t, enum fault f, const char *fmt, ...) RK_PRINTF(3, 4);
uint64_t tally_faults(const struct tally *t);
