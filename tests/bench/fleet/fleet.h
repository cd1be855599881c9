#pragma once

/*
 * What the agents of one process share. Loop thread only, but for what the process was started
 * with.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/loop/loop.h"
#include "libcommon/net/target.h"
#include "libcommon/net/tls.h"
#include "tests/bench/fleet/account.h"
#include "tests/bench/fleet/identity.h"
#include "tests/bench/fleet/map.h"
#include "tests/bench/fleet/scenario.h"
#include "tests/bench/fleet/tally.h"
#include "tests/bench/fleet/wheel.h"

struct agent;

/* The same for all processes, made before there are several. */
struct plan {
    struct scenario scenario;
    struct identity id;
    const char *ca_file;
    const map_key *keys;
    struct account_group *groups;
    bool all_see_all;
};

struct fleet {
    const struct plan *plan;
    struct tally *tally;
    struct rk_loop *loop;
    struct wheel wheel;
    struct rk_tls *tls[2]; /* see fleet_tls */
    struct rk_targets targets;
    struct rk_target *management, *signal, *stun;
    struct rk_target *relay[RK_TARGETS_MAX];
    unsigned relays;
    struct agent *agent;
    uint32_t first, end; /* agents of this process, by number */
    struct rk_buf plain; /* scratch: a message in clear */
    uint32_t *seen, stamp;
    void *owner;
    /* What the player wants to know. */
    void (*on_online)(struct agent *a);
    void (*on_map)(struct agent *a, const struct map_facts *m, uint32_t change_before, bool fresh);
    void (*on_stuck)(struct agent *a);
    void (*on_left)(struct agent *a);
};

uint32_t plan_group_first(const struct plan *p, uint32_t group);
uint32_t plan_group_of(const struct plan *p, uint32_t agent);
/* Whom `self` may see: of how many there are, itself included. */
void plan_span(const struct plan *p, uint32_t self, uint32_t *out_first, uint32_t *out_end);
struct agent *fleet_agent(struct fleet *f, uint32_t number); /* NULL: another process's */
/* Made when it is wanted first: for gRPC, or for relays, which speak HTTP/1.1. */
struct rk_tls *fleet_tls(struct fleet *f, bool relay);
/* What makes the run senseless, as a server name that nobody knows: ends the process with a
 * message. */
void fleet_fatal(struct fleet *f, const char *fmt, ...) RK_PRINTF(2, 3) __attribute__((noreturn));
