#pragma once

/*
 * Session: one agent's connection as the relay protocol sees it, whatever carries its messages.
 * Owned by its transport, which embeds it. Everything here runs on the loop the connection was
 * accepted on.
 *
 *   NEW --AUTH ok--> PUBLISHING --directory confirms--> ONLINE --closed or replaced--> GONE
 *
 * The answer to AUTH is queued first and leaves when the directory has confirmed: so it is the
 * first message the agent reads, and an agent that has read it is addressable from every loop.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/list.h"
#include "services/relay/wire/message.h"

struct core;
struct session;

#define AUTH_LIMIT_MS 10000
#define HEALTH_SEND_MS 25000
#define HEALTH_CHECK_MS 45000
#define IDLE_MS 30000
#define MAX_SUBSCRIPTIONS                                                                          \
    16384 /* of one session; one more closes it, for an edge must never be lost */

/* What a transport (transport/ws; QUIC later) does for a session. */
struct transport_ops {
    const char *name;
    /* Queues `01 03 <from> <payload of m>`. Over the queue's bound the message is dropped and
     * counted. */
    void (*forward)(struct session *s, const struct relay_id *from, const struct incoming *m);
    /* Queues a control message of n bytes, never dropped: when there is no room the connection
     * closes. */
    void (*control)(struct session *s, const uint8_t *p, size_t n);
    /* What is queued may leave now. */
    void (*release)(struct session *s);
    /* Marks the connection for its end at the close of this turn (`flush`: once what is queued has
     * left); session_gone is called then, never inside this call. */
    void (*close)(struct session *s, bool flush, const char *why);
};

enum session_state {
    SESSION_NEW,
    SESSION_PUBLISHING,
    SESSION_ONLINE,
    SESSION_GONE,
};

/* Names a session from any loop; a stale handle finds nothing. */
struct handle {
    uint32_t core;
    uint32_t slot;
    uint32_t gen;
};

struct session {
    struct core *core;
    const struct transport_ops *ops;
    enum session_state state;
    struct handle handle;
    struct relay_id id;
    bool replaced; /* the directory has a newer session of this ID */
    bool alive;    /* answered a health check in this window */
    unsigned subscription_count;
    uint64_t accepted_ns;
    uint64_t authenticated_ns;
    uint64_t next_send_ms;  /* health check */
    uint64_t next_check_ms; /* its evaluation */
    uint64_t last_transport_ms;
    struct rk_list subscriptions;
};

void session_init(struct session *s, struct core *core, const struct transport_ops *ops);
/* One message; negative: close the connection, err says why. */
int session_message(struct session *s, const struct incoming *m, struct rk_err *err);
/* The directory made it addressable. */
void session_published(struct session *s);
/* Sends and evaluates health checks that are due. False: it has closed the session. */
bool session_tick(struct session *s, uint64_t now_ms);
/* Forget it everywhere; for transports, once, when the connection ends. */
void session_gone(struct session *s);
