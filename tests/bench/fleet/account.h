#pragma once

/*
 * What the fleet makes of its account over REST: its groups, a policy and a setup key for each, and
 * changes of the policies; at the end all of it goes again. Blocking; one thread, which is not the
 * agents'.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "tests/bench/fleet/identity.h"
#include "tests/bench/fleet/map.h"

struct account_group {
    char id[MAP_ID], policy[MAP_ID], rule[MAP_ID], key[48];
    char key_id[MAP_ID];
};

struct account_access {
    const char *url;     /* of the API, without a path */
    const char *token;   /* a personal access token */
    const char *ca_file; /* NULL: the system's */
};

struct account;

/* `groups` in shared memory, filled by account_open. */
struct account *account_new(const struct account_access *access,
                            const struct identity *id,
                            struct account_group *groups,
                            unsigned count);
/* Makes groups, policies and keys. `alone`: switches the account's other policies off. */
int account_open(struct account *a, bool alone, struct rk_err *err);
/* Whether a policy of the account lets everybody see everybody. */
bool account_all_see_all(const struct account *a);
/* Changes the policy of one group; 0 when it has been acknowledged. */
int account_change(struct account *a, unsigned group, uint32_t change, struct rk_err *err);
/* Takes away what it made, and switches on what it switched off; the first failure is in err, but
 * it goes on. Nothing to do after a failed or missing account_open is done too. */
int account_close(struct account *a, struct rk_err *err);
void account_free(struct account *a);
