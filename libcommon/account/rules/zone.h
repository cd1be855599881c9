#pragma once

/*
 * How DNS zones and their records change. Each call is one transaction on a worker thread. Errors
 * carry the text that goes on the wire.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/rules/actor.h"

#define RK_ZONE_MAX_NAME 255 /* bytes */

/* As sent; borrowed, never NULL. */
struct rk_zone_input {
    const char *name;
    const char *domain;
    bool enabled;
    bool enable_search_domain;
    const struct rk_str *groups;
    size_t groups_n;
};

struct rk_record_input {
    const char *name;
    const char *type;
    const char *content;
    int64_t ttl;
};

/* The checks of a body that need no database, in their order; RK_INVALID. Any thread. */
int rk_zone_validate(const struct rk_zone_input *in, struct rk_err *err) RK_CHECKED;
int rk_record_validate(const struct rk_record_input *in, struct rk_err *err) RK_CHECKED;

/* RK_INVALID; RK_EXISTS for a domain that is a zone already. */
int rk_zone_create(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const struct rk_zone_input *in,
                   char out_id[RK_XID_LEN + 1],
                   struct rk_bell *out_bell,
                   struct rk_err *err) RK_CHECKED;
/* RK_NOT_FOUND. The domain cannot change. */
int rk_zone_update(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   const struct rk_zone_input *in,
                   struct rk_bell *out_bell,
                   struct rk_err *err) RK_CHECKED;
/* With its records. */
int rk_zone_delete(struct rk_pg *pg,
                   const struct rk_actor *actor,
                   const char *id,
                   struct rk_bell *out_bell,
                   struct rk_err *err) RK_CHECKED;

/* RK_INVALID; RK_EXISTS for a record that is there already; RK_NOT_FOUND without the zone. */
int rk_record_create(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *zone_id,
                     const struct rk_record_input *in,
                     char out_id[RK_XID_LEN + 1],
                     struct rk_bell *out_bell,
                     struct rk_err *err) RK_CHECKED;
int rk_record_update(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *zone_id,
                     const char *id,
                     const struct rk_record_input *in,
                     struct rk_bell *out_bell,
                     struct rk_err *err) RK_CHECKED;
int rk_record_delete(struct rk_pg *pg,
                     const struct rk_actor *actor,
                     const char *zone_id,
                     const char *id,
                     struct rk_bell *out_bell,
                     struct rk_err *err) RK_CHECKED;
