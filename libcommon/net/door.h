#pragma once

/*
 * Door: a thread between a listening socket and who serves. It accepts, does the TLS handshake, and
 * hands on who has come through. A handshake costs more than all that an open connection asks for
 * in a second, and whoever can dial can ask for it: here nobody who is in waits for it. The thread
 * stands behind all others (slice.h), once the process is RK_DOOR_YOUNG_MS old, and in the long run
 * takes one part in so many of a core. A crowd waits with the kernel, where it costs nothing.
 *
 * Bounds: RK_DOOR_LIMIT_MS from accepting to the first words after the handshake; of those who have
 * said nothing, of those who have announced a hello and not said all of it, and of those further in
 * the middle of it there are so many, each no more than an eighth of the descriptors that the
 * process may have, and the oldest makes room; of those who come to nothing there is one in
 * RK_DOOR_IN_VAIN_NS, but not in a young process. tls.h bounds what one of them may ask TLS for.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "libcommon/net/tls.h"

#define RK_DOOR_LIMIT_MS 10000
#define RK_DOOR_YOUNG_MS 15000
#define RK_DOOR_MAX_SILENT 8192
#define RK_DOOR_MAX_ANNOUNCED 256 /* up to 150 KB each, which OpenSSL takes for it at once */
#define RK_DOOR_MAX_BEGUN 4096    /* some 30 KB each, and 50 with the largest hello */
#define RK_DOOR_LEAST 128
#define RK_DOOR_SHARE 2
#define RK_DOOR_BURST_NS 5000000000
#define RK_DOOR_PIECE_NS 5000000
#define RK_DOOR_IN_VAIN_NS 500000

/* The first words of who speaks HTTP/2, and less than any request of HTTP/1.1: who says them a byte
 * at a time is not let in for it. A request of HTTP/1.0 may have 18, and waits in vain; nothing is
 * served in that. */
#define RK_DOOR_FIRST 24

/* Who has come through: the receiver's are `fd`, non-blocking, and `ssl`, which reads and writes it
 * until it is told otherwise, and may have read more than `first`. */
struct rk_guest {
    int fd;
    SSL *ssl;
    struct sockaddr_in6 peer; /* of either family */
    uint8_t first[RK_DOOR_FIRST];
};

struct rk_door;

struct rk_door_terms {
    int listen_fd;      /* non-blocking; stays the caller's, who closes it after the door */
    struct rk_tls *tls; /* outlives the door */
    uint64_t limit_ms;  /* 0: as above; so are the four others */
    uint64_t young_ms;
    unsigned max_silent;
    unsigned max_announced, max_begun; /* at least RK_DOOR_LEAST */
    /* With a protocol as `tls` wants it. On the door's thread. */
    void (*on_guest)(const struct rk_guest *g, void *arg);
    void *arg;
};

struct rk_door *rk_door_open(const struct rk_door_terms *terms);
/* Who has not come through is hung up on; waits for the thread, one handshake at most. Any thread
 * but the door's. NULL is fine. */
void rk_door_close(struct rk_door *d);

/* Whether accept(2) failed for want of descriptors or memory: it is to be tried again in a while,
 * and not at once. Pure. */
bool rk_accept_no_room(int err);

/* Metrics of all doors of the process. Start-up only. */
void rk_door_metrics_register(void);

/* A piece of strangers' work has run from then to now: when the next one is due, 0 at first. What
 * they have not used is theirs up to a burst, so that all agents may come back at once. Pure. */
uint64_t rk_door_due_ns(uint64_t due_ns, uint64_t from_ns, uint64_t now_ns);
