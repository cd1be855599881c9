#pragma once

/*
 * A policy's rules, encoded once: everything of a FirewallRule that does not depend on the remote
 * peer (direction, action, protocol, port, rule id), for both directions and every class of
 * receiver. Counted, immutable. Any thread.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/compile/peer.h"
#include "libcommon/account/model/model.h"

enum {
    COMPILE_IN = 0,
    COMPILE_OUT = 1,
    COMPILE_DIRECTIONS = 2
};

/* One rule becomes several on the wire (one a port): part i is bytes[ends[i-1] .. ends[i]). */
struct compile_parts {
    uint8_t *bytes;
    uint32_t *ends;
    size_t n;
};

/* Whom a rule lets in by SSH. */
enum compile_ssh {
    COMPILE_SSH_NONE,
    COMPILE_SSH_GROUPS,  /* netbird-ssh, for the users of groups */
    COMPILE_SSH_USER,    /* netbird-ssh, for one user */
    COMPILE_SSH_ANYONE,  /* netbird-ssh, for every user */
    COMPILE_SSH_IMPLIED, /* opens port 22: for every user, where the destination has SSH on */
};

struct compile_rule {
    const struct rk_rule *row;
    enum compile_ssh ssh;
    struct compile_parts parts[COMPILE_DIRECTIONS][COMPILE_CLASSES];
    bool grants_ssh; /* netbird-ssh: destinations run their SSH server */
    size_t twin; /* first rule of the policy that is the same on the wire (itself when none is) */
};

struct compile_policy {
    _Atomic unsigned refs;
    struct rk_policy_row *row;
    struct compile_rule *rules; /* row->rules_n */
    bool ssh;                   /* some rule lets somebody in */
};

struct compile_policy *compile_policy_new(struct rk_policy_row *row);
struct compile_policy *compile_policy_ref(struct compile_policy *p);
void compile_policy_unref(struct compile_policy *p);

/* The same on the wire for every receiver (membership aside)? */
bool compile_rule_same(const struct compile_rule *a, const struct compile_rule *b);
/* Do both let the same users in by SSH? */
bool compile_rule_same_ssh(const struct compile_rule *a, const struct compile_rule *b);
