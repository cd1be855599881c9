#pragma once

/*
 * Core: one loop on one thread. It accepts on its own SO_REUSEPORT socket (over TLS a door of its
 * own does, libcommon/net/door.h), keeps a connection until it ends, and talks to the other cores
 * only through rings, one for each ordered pair, so the data path has no lock. A core that sleeps
 * in epoll_wait is woken once a batch through its eventfd.
 *
 * What a full ring means: TRANSPORT is dropped and counted; directory events wait in order and are
 * never lost. Everything runs on the core's thread unless it says "any thread".
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "libcommon/base/list.h"
#include "libcommon/conf/addr.h"
#include "libcommon/crypto/token.h"
#include "libcommon/net/door.h"
#include "services/relay/core/outq.h"
#include "services/relay/core/ring.h"
#include "services/relay/core/wheel.h"
#include "services/relay/metrics.h"
#include "services/relay/peers/directory.h"
#include "services/relay/session/session.h"

#define RING_BYTES (2u << 20) /* what the service gives a ring */
#define SCRATCH_BYTES (64 * 1024)
#define TLS_RECORD (16 * 1024) /* at most */

struct core_config {
    struct rk_relay_key key;
    const char *instance_url;
    size_t instance_url_n; /* 1 to 8190 */
    size_t queue_bytes;    /* of one receiver, for TRANSPORT */
    size_t share_bytes;    /* of all receivers of one core */
    size_t ring_bytes;     /* from one core to another; a power of two, at least 128 KiB */
    int64_t max_connections;
    uint64_t drain_ms;
    const struct rk_cidrs *trusted_proxies; /* may be NULL */
    struct rk_tls *tls;                     /* NULL: clear text */
    void *arg;
    void (*on_drained)(void *arg); /* a core ended; on its thread */
};

struct cores; /* all of them */

/* A file descriptor in the core's epoll set; embed it. */
struct watch {
    void (*on_ready)(struct watch *w, uint32_t events);
};

struct slot {
    struct session *session;
    uint32_t gen;
    uint32_t next_free;
};

struct mailbox;

struct core {
    struct cores *all;
    uint32_t index;
    uint64_t now_ms; /* of this turn */
    int epfd;
    int wake_fd;
    int listen_fd;
    struct rk_door *door; /* over TLS it accepts */
    pthread_mutex_t guests_lock;
    struct rk_list guests; /* who has come through it; under the lock */
    bool accept_paused;    /* out of file descriptors; tried again on the next tick */
    bool draining;
    bool done;
    struct watch wake_watch, listen_watch;
    struct wheel wheel;
    uint64_t
        housekeeping_due_ms; /* not a wheel timer: every timer in the wheel is a connection's */
    struct chunk_pool chunks;
    struct directory *directory;
    struct slot *slots;
    uint32_t slot_count, slot_free;
    struct mailbox *mail;       /* one for each core; ours is unused */
    struct rk_list connections; /* of transports, for drain; nodes are theirs */
    size_t connection_count;
    struct rk_list dirty; /* connections with output to flush at the end of the turn */
    unsigned dirty_count;
    struct rk_list dead; /* freed at the end of the turn */
    uint64_t drain_from_ms;
    size_t drain_total, drain_told;
    struct relay_counts counts;
    pthread_t thread;
    _Atomic int sleeping;
    /* Input of the connection being read: 9 KB of rest, then SCRATCH_BYTES; over TLS a record
     * more, whose beginning had come before. */
    uint8_t *scratch;
    uint8_t *sealed; /* the same as it came over TLS: SCRATCH_BYTES; NULL: in the clear */
};

/* `listen_fds`: one listening non-blocking socket a core, owned from here on. Starts the threads.
 */
struct cores *cores_start(uint32_t count, const int *listen_fds, const struct core_config *cfg);
void cores_drain(struct cores *all);     /* any thread; cfg->on_drained is called once a core */
void cores_join_free(struct cores *all); /* after every on_drained */
void cores_counts(struct cores *all, int64_t sums[COUNT_END]); /* any thread */

uint32_t core_count(const struct core *c);
const struct core_config *core_config(const struct core *c);
bool core_admit(struct core *c); /* counts a connection in, false over max_connections */
void core_dismiss(struct core *c);

struct handle core_slot_take(struct core *c, struct session *s);
void core_slot_give(struct core *c, struct handle h);
/* NULL when h is of another core or stale. */
struct session *core_session(struct core *c, struct handle h);

void core_forward(struct core *c,
                  const struct relay_id *to,
                  const struct relay_id *from,
                  const struct incoming *m);
void core_tell(struct core *c,
               uint32_t core,
               enum directory_event what,
               const struct relay_id *id,
               struct handle h);
/* Handles what other cores sent. Call after reading a socket and before acting on what was read, so
 * that whatever the remote side can have learned, this core knows. Wakes the cores this one wrote
 * to. */
void core_mail(struct core *c);
void core_poke(struct core *c);
