#pragma once

/* Between the files of net/: a connection whose socket is not open yet. */

#include "libcommon/net/conn.h"
#include "libcommon/net/door.h"

/* Makes a connection with an initialised, unconnected socket. */
struct rk_conn *rk_conn_new(struct rk_loop *l);
/* Who has come through the door; takes its socket. NULL: not to be had. */
struct rk_conn *rk_conn_guest(struct rk_loop *l, const struct rk_guest *g);
uv_tcp_t *rk_conn_tcp(struct rk_conn *c);
/* A connection that never got its ops: closed and freed silently. */
void rk_conn_discard(struct rk_conn *c);
/* Reads the peer's address from the socket; false when it is gone already. */
bool rk_conn_accepted(struct rk_conn *c);
