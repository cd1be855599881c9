#pragma once

/*
 * An account of any size in Postgres, the same on every machine: 200 groups, 100 policies, and
 * each peer concerned by a handful of them. One connection, its thread.
 *
 *   groups    "All"; 150 teams, every peer in one; 40 roles, one peer in ten in one; 9 services,
 *             5 peers each, the first 45 (of a small account less), who serve everybody
 *   policies  60 between two teams (tcp, two ports, both ways); 30 from two teams to a role (tcp, a
 *             range, one way); 9 from All to a service (tcp or udp, one way), the first of which is
 *             BIG_ACCOUNT_WIDE_POLICY; one from a service to All (icmp)
 *
 * So a peer sees the services, one other team, and what roles its team may reach; a service sees
 * all.
 */

#include "libcommon/pg/pg.h"

#define BIG_ACCOUNT_ID "benchaccount00000000"
#define BIG_ACCOUNT_ALL "g0000000000000000000"
#define BIG_ACCOUNT_WIDE_POLICY "c0000000000000000090"
#define BIG_ACCOUNT_TEAM_POLICY "c0000000000000000001"
#define BIG_ACCOUNT_SERVERS 45 /* peers 1 to 45 are in services */

/* The number of a group: All is 0. */
#define BIG_ACCOUNT_TEAM(n) (1 + (n)) /* n < 150 */

/* Peer `n` from 1, group, as 20 characters and a NUL. */
void big_account_peer_id(unsigned n, char out[21]);
void big_account_group_id(unsigned n, char out[21]);

/* Removes what was there; ends the program when anything fails. `peers` is at most 60,000. */
void big_account_make(struct rk_pg *pg, unsigned peers);
