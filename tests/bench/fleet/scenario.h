#pragma once

/*
 * What the fleet does, as a small text: settings first, then steps, one a line, done in order.
 *
 *   agents 500               # how many, in how many groups that each see themselves alone
 *   groups 10
 *   join                     # everybody enrols, connects and has a map
 *   run for 30s churn 5/s change 1/s signal 200/s
 *   verify                   # every map is what a fresh one is
 *
 * A `#` begins a comment. scenario_help says what there is. Pure functions; any thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

#define SCENARIO_MAX_STEPS 128
#define SCENARIO_MAX_AGENTS 200000

enum plane {
    PLANE_MANAGEMENT = 1, /* always */
    PLANE_SIGNAL = 2,
    PLANE_RELAY = 4,
    PLANE_STUN = 8,
};

enum step_kind {
    STEP_JOIN,
    STEP_RUN,
    STEP_BURST,
    STEP_STORM,
    STEP_VERIFY,
    STEP_LEAVE,
    STEP_KINDS,
};

/* What goes on during a run, each so many times a second over the whole fleet. */
enum activity {
    ACTIVITY_CHURN,  /* an agent is started anew */
    ACTIVITY_CHANGE, /* a group's policy is changed over REST */
    ACTIVITY_SIGNAL, /* an offer to another agent of the group, which answers */
    ACTIVITY_RELAY,  /* a packet to the partner */
    ACTIVITY_STUN,   /* a binding request */
    ACTIVITIES,
};

struct step {
    enum step_kind kind;
    unsigned line;
    uint64_t for_ms;          /* run */
    double rate[ACTIVITIES];  /* run, 1/s */
    uint64_t at_once;         /* join: agents under way, 0: all of them; storm, verify, leave */
    uint64_t changes, gap_ms; /* burst */
    double share;             /* storm: of the agents */
    uint64_t within_ms;       /* all but run: the step has failed when it takes longer */
};

struct scenario {
    uint64_t agents, groups;
    uint64_t packet_bytes; /* of ACTIVITY_RELAY */
    unsigned planes;
    uint64_t sync_version; /* of maps, the highest that agents say they know */
    bool direct;           /* enrol with one Login, where a stock agent asks twice before */
    bool alone;            /* the account's other policies are off during the run */
    unsigned steps;
    struct step step[SCENARIO_MAX_STEPS];
};

/* Errors name the line and what to write. `name` is what they call the text. */
int scenario_parse(struct rk_str text, const char *name, struct scenario *out, struct rk_err *err)
    RK_CHECKED;
/* Its at_once for a process that has so many of all agents: at least 1; 0: all of them. */
uint64_t step_at_once(const struct step *s, uint64_t agents, uint64_t of);
const char *step_name(enum step_kind kind);
const char *activity_name(enum activity a);
bool scenario_has(const struct scenario *s, enum activity a);
void scenario_help(FILE *out);
