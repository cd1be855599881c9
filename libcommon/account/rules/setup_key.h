#pragma once

/*
 * How setup keys change. Each call is one transaction on a worker thread; none raises the serial,
 * since no map holds a setup key. Errors carry the text that goes on the wire.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/rules/actor.h"

struct rk_setup_key_input {
    const char *name;
    const char *type;     /* "one-off" or "reusable" */
    int64_t expires_in_s; /* 0 = never */
    int64_t usage_limit;  /* 0 = unlimited */
    bool ephemeral;
    bool allow_extra_dns_labels;
    const struct rk_str *auto_groups;
    size_t auto_groups_n;
};

/* What the rules say without a database; RK_INVALID. */
int rk_setup_key_validate(const struct rk_setup_key_input *in, struct rk_err *err) RK_CHECKED;

/* *out_secret: the key in plain, an upper-case UUID, which is stored nowhere. */
int rk_setup_key_create(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const struct rk_setup_key_input *in,
                        char out_id[RK_XID_LEN + 1],
                        char out_secret[RK_UUID_LEN + 1],
                        struct rk_err *err) RK_CHECKED;
/* A revoked key stays revoked. RK_NOT_FOUND. */
int rk_setup_key_update(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const char *id,
                        bool revoked,
                        const struct rk_str *auto_groups,
                        size_t auto_groups_n,
                        struct rk_err *err) RK_CHECKED;
int rk_setup_key_delete(struct rk_pg *pg,
                        const struct rk_actor *actor,
                        const char *id,
                        struct rk_err *err) RK_CHECKED;
