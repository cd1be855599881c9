#pragma once

/*
 * The active users of an account, for SSH: who they are on the wire, and who is in which of the
 * groups that users belong to. Made anew when a user changes; counted, immutable.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/snapshot/rows.h"

#define SNAP_USER_HASH 16

struct snap_user {
    struct rk_user_row *row;
    uint8_t hash[SNAP_USER_HASH]; /* BLAKE2b of the id */
};
/* Numbers of users, ascending. */
struct snap_usergroup {
    char id[RK_XID_LEN + 1];
    uint32_t *users;
    size_t n;
};
struct snap_users {
    _Atomic unsigned refs;
    struct snap_user *v; /* sorted by id */
    size_t n;
    struct snap_usergroup *groups; /* sorted by id; none is empty */
    size_t groups_n;
};

/* From the rows of users; what is known of them already is taken from `was` (or NULL). */
struct snap_users *snap_users_new(const struct snap_rows *rows, const struct snap_users *was);
struct snap_users *snap_users_ref(struct snap_users *u);
void snap_users_unref(struct snap_users *u);

#define SNAP_NO_USER SIZE_MAX
size_t snap_user_find(const struct snap_users *u, const char *id); /* its number */
/* NULL: nobody active is in it. The group of everyone is not among them. */
const struct snap_usergroup *snap_usergroup_find(const struct snap_users *u, const char *id);
bool snap_users_same(const struct snap_users *a, const struct snap_users *b); /* the same people */
bool snap_usergroup_same(const struct snap_users *a, const struct snap_users *b, const char *group);
