#pragma once

/* For settings_*.c and their tests. */

#include "libcommon/account/rules/settings.h"

/* Gives every peer a new address inside the prefix and writes it to the account. Every peer is
 * touched. */
int rk_settings_renumber4(struct rk_change *ch,
                          const struct rk_prefix *to,
                          struct rk_err *err) RK_CHECKED;
/* The account's IPv6 prefix is `to` (NULL: as it is). Members of `groups` have an address inside
 * it, others none. Peers that change are touched. */
int rk_settings_assign6(struct rk_change *ch,
                        const struct rk_prefix *to,
                        const struct rk_str *groups,
                        size_t n,
                        struct rk_err *err) RK_CHECKED;
/* RK_INVALID when the range is too small for the account's peers. */
int rk_settings_check_capacity(struct rk_change *ch,
                               const struct rk_prefix *range,
                               struct rk_err *err) RK_CHECKED;
/* After the members of a group have changed: if it has IPv6, addresses follow. */
int rk_settings_follow6(struct rk_change *ch, const char *group_id, struct rk_err *err) RK_CHECKED;
