#pragma once

/*
 * WebSocket connection: TCP, or TLS whose handshake is done, the upgrade request, then frames.
 * Owned by its core; all on the core's thread.
 *
 *   UPGRADE --101--> OPEN --close--> (FLUSH, LINGER) --> dead, freed at the end of the turn
 *
 * Limits: 5 s from accept, over TLS from the door, to a whole upgrade request, then 10 s to a valid
 * AUTH. Output is gathered for the turn and written once. A receiver whose queue holds
 * `queue_bytes` loses the newest TRANSPORT messages (counted); control messages have 256 KiB beyond
 * that, and past them the connection is closed; so is one whose queue made no progress for 10 s.
 * Past `share_bytes` in all queues of the core every receiver that is behind loses the newest. A
 * sender is never slowed by its receivers.
 */

#include <sys/socket.h>

#include "services/relay/core/core.h"

#define UPGRADE_LIMIT_MS 5000
#define WRITE_LIMIT_MS 10000
#define CLOSE_LIMIT_MS 3000
#define CONTROL_RESERVE_BYTES (256 * 1024)

/* Takes fd; in the clear. */
void ws_conn_accept(struct core *c, int fd, const struct sockaddr *peer);
/* Over TLS; takes its socket. */
void ws_conn_guest(struct core *c, const struct rk_guest *g);
void ws_conn_on_timer(struct wheel_timer *t);
/* Flushes what was queued and frees what has ended. */
void ws_conn_end_turn(struct core *c);
/* Tells one connection CLOSE and ends it; false when there is none left. */
bool ws_conn_drain_one(struct core *c);
void ws_conn_close_all(struct core *c, const char *why);
