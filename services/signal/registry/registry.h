#pragma once

/*
 * Who is connected to this replica: key string -> stream. A stream is in the registry from the
 * moment its registration holds until it is superseded, evicted or gone. Between two streams of one
 * key the higher epoch wins; removal is compare-and-delete, so a late close of an old stream never
 * hides the new one. Loop thread only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "libcommon/base/map.h"
#include "libcommon/base/str.h"
#include "services/signal/stream/fifo.h"

#define SIGNAL_MAX_KEY 64 /* an agent's key string has 44 bytes */

struct rk_grpc_call;

/* Where a stream comes from, as far as it tells two agents apart: IPv4 address or IPv6 /64. All
 * zero: not known. */
#define SOURCE_LEN 9
struct source {
    uint8_t b[SOURCE_LEN];
};
struct source source_of(const struct sockaddr *sa);
/* Both are known and they differ. */
bool source_differs(const struct source *a, const struct source *b);

struct stream {
    struct rk_grpc_call *call; /* NULL once the call is over */
    struct rk_list pending;    /* waiting for its turn, then for its registration */
    uint64_t epoch;
    uint64_t started_ms;
    uint64_t turn_ms;        /* when it may register: later than started_ms under contention */
    uint64_t registering_ms; /* since when the router has it */
    struct fifo fifo;
    unsigned
        replies; /* of the registry store that are still to come; the stream lives until the last */
    bool registered;
    bool ending; /* its last status is on the way: nothing more is delivered */
    struct source source;
    uint8_t key_n;
    char key[SIGNAL_MAX_KEY];
};

static inline struct rk_str stream_key(const struct stream *s)
{
    return rk_strn(s->key, s->key_n);
}

struct registry {
    struct rk_map *streams;
};

void registry_init(struct registry *r);
void registry_done(struct registry *r);
struct stream *registry_get(const struct registry *r, struct rk_str key);

enum registry_outcome {
    REGISTRY_NEW,
    REGISTRY_REPLACED, /* *out_old is out of the registry: end it */
    REGISTRY_LOST,     /* a stream of a higher epoch is there: end the one that came */
};
enum registry_outcome registry_add(struct registry *r, struct stream *s, struct stream **out_old);
/* True when s itself was there. */
bool registry_remove(struct registry *r, struct stream *s);
