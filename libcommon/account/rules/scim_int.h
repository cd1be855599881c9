#pragma once

/* For scim_*.c. */

#include "libcommon/account/rules/scim.h"

struct rk_scim_change {
    struct rk_change *ch;
    struct rk_scim scim;
    struct rk_actor actor;
    struct rk_pg_result *row; /* of the integration; the lists below point into it */
    const char *connector_id;
    struct rk_str *group_prefixes, *user_group_prefixes;
    size_t group_prefixes_n, user_group_prefixes_n;
    struct rk_arena *arena;
    struct rk_str *dirty; /* people who are to be settled, some perhaps twice; in the arena */
    size_t dirty_n, dirty_cap;
    bool members_too; /* their groups are to be settled as well */
};

/* Also of an integration that is switched off. RK_NOT_FOUND. `by` = who does it. */
int scim_begin(struct rk_pg *pg,
               const struct rk_scim *scim,
               const char *by,
               struct rk_scim_change **out,
               bool *out_enabled,
               struct rk_err *err) RK_CHECKED;

/* Reads the integration, once more when it has changed. RK_NOT_FOUND. */
int scim_load(struct rk_scim_change *sc, struct rk_err *err) RK_CHECKED;
/* Inside somebody else's change, who takes `ch` out again before *out goes. */
int scim_within(struct rk_change *ch,
                const struct rk_scim *scim,
                const char *by,
                struct rk_scim_change **out,
                struct rk_err *err) RK_CHECKED;

void scim_dirty(struct rk_scim_change *sc, struct rk_str user_id);
/* Those of the first column, with their groups. */
void scim_dirty_rows(struct rk_scim_change *sc, const struct rk_pg_result *res);
/* Makes users, groups and peers of the account what the directory says of everybody dirty; nobody
 * is afterwards. */
int scim_settle(struct rk_scim_change *sc, struct rk_err *err) RK_CHECKED;
/* The row of a new user whom a directory has announced. RK_CONFLICT: somebody was quicker. */
int scim_make_user(struct rk_change *ch,
                   const char *id,
                   struct rk_str name,
                   struct rk_str email,
                   struct rk_err *err) RK_CHECKED;
/* This person of the directory is that user, for good. */
int scim_bind_user(struct rk_change *ch, struct rk_str person, const char *id, struct rk_err *err)
    RK_CHECKED;
/* Blocks users with everything that follows; told. */
int scim_block(struct rk_scim_change *sc,
               const struct rk_str *user_ids,
               size_t n,
               struct rk_err *err) RK_CHECKED;

/* The account's group of one of the directory, as the prefixes ask for it. *out_changed = it came
 * or went, so that its members are to be settled. */
int scim_group_place(struct rk_scim_change *sc,
                     const char *id,
                     bool *out_changed,
                     struct rk_err *err) RK_CHECKED;
