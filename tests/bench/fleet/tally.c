#include "tests/bench/fleet/tally.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char *const metric_names[METRICS] = {
    [METRIC_KEY] = "server_key",
    [METRIC_LOGIN] = "login",
    [METRIC_MAP] = "first_map",
    [METRIC_ONLINE] = "online",
    [METRIC_BACK] = "back",
    [METRIC_CHANGE] = "change",
    [METRIC_CHANGE_LAST] = "change_last",
    [METRIC_SIGNAL_READY] = "signal_ready",
    [METRIC_OFFER] = "offer",
    [METRIC_ANSWER] = "answer",
    [METRIC_RELAY_READY] = "relay_ready",
    [METRIC_PACKET] = "packet",
    [METRIC_STUN] = "stun",
    [METRIC_REST] = "rest",
};

static const char *const count_names[COUNTS] = {
    [COUNT_STARTS] = "starts",
    [COUNT_MAPS] = "maps",
    [COUNT_MAP_BYTES] = "map_bytes",
    [COUNT_PUSHES] = "pushes",
    [COUNT_STREAM_END] = "streams_ended",
    [COUNT_LOST] = "connections_lost",
    [COUNT_REFUSED] = "connections_refused",
    [COUNT_RETRIES] = "retries",
    [COUNT_SILENT] = "given_up_silent",
    [COUNT_HEARTBEATS] = "heartbeats",
    [COUNT_OFFERS] = "offers",
    [COUNT_OFFERS_ARRIVED] = "offers_arrived",
    [COUNT_ANSWERS_ARRIVED] = "answers_arrived",
    [COUNT_PACKETS] = "packets",
    [COUNT_PACKETS_ARRIVED] = "packets_arrived",
    [COUNT_STUN] = "stun_requests",
    [COUNT_STUN_ANSWERED] = "stun_answers",
    [COUNT_CHANGES] = "changes",
};

static const char *const fault_names[FAULTS] = {
    [FAULT_SHOWN] = "shown_to_user",          [FAULT_NOT_AUTHENTIC] = "not_authentic",
    [FAULT_UNREADABLE] = "unreadable",        [FAULT_STRANGER] = "map_with_stranger",
    [FAULT_MISSING] = "map_incomplete",       [FAULT_TWICE] = "map_with_double",
    [FAULT_KEY] = "map_with_wrong_key",       [FAULT_SERIAL_BACK] = "serial_went_back",
    [FAULT_CHANGE_BACK] = "change_went_back", [FAULT_CHANGE_LOST] = "change_lost",
    [FAULT_DIFFERS] = "map_not_as_fresh",     [FAULT_MESSAGE] = "message_altered",
    [FAULT_ADDRESS] = "address_wrong",        [FAULT_LATE] = "not_in_time",
};

const char *metric_name(enum metric m)
{
    return metric_names[m];
}

const char *count_name(enum count c)
{
    return count_names[c];
}

const char *fault_name(enum fault f)
{
    return fault_names[f];
}

const char *tally_status_name(int status)
{
    static const char *const names[TALLY_STATUSES] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };

    return status >= 0 && status < TALLY_STATUSES ? names[status] : "UNKNOWN";
}

struct tally *tally_shared(unsigned n)
{
    void *p = mmap(NULL, n * sizeof(struct tally), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        abort();
    return p;
}

void tally_clear(struct tally *t)
{
    memset(t, 0, sizeof(*t));
}

void tally_merge(struct tally *into, const struct tally *from)
{
    for (unsigned i = 0; i < METRICS; i++)
        histogram_merge(&into->time[i], &from->time[i]);
    for (unsigned i = 0; i < COUNTS; i++)
        into->count[i] += from->count[i];
    for (unsigned i = 0; i < FAULTS; i++)
        into->fault[i] += from->fault[i];
    for (unsigned i = 0; i < TALLY_STATUSES; i++)
        into->status[i] += from->status[i];
    if (into->first_fault[0] == '\0')
        memcpy(into->first_fault, from->first_fault, TALLY_TEXT);
    into->online += from->online;
    into->agents += from->agents;
}

void tally_time(struct tally *t, enum metric m, uint64_t ns)
{
    histogram_add(&t->time[m], ns / 1000);
}

void tally_fault(struct tally *t, enum fault f, const char *fmt, ...)
{
    va_list ap;

    t->fault[f]++;
    if (t->first_fault[0] != '\0')
        return;
    va_start(ap, fmt);
    (void)vsnprintf(t->first_fault, TALLY_TEXT, fmt, ap);
    va_end(ap);
}

uint64_t tally_faults(const struct tally *t)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < FAULTS; i++)
        sum += t->fault[i];
    return sum;
}
