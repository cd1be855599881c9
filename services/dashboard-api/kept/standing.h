#pragma once

/*
 * What Postgres has said of tokens: whose they are, and at which versions what they may see is.
 * Each was said of one state of the database, and is good for that state alone. Loop thread only.
 *
 * Bounded: when there are too many, all are forgotten.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/account/rules/subject.h"
#include "libcommon/base/attr.h"
#include "libcommon/base/id.h"
#include "services/dashboard-api/kept/kept.h"

#define STANDING_HASH_LEN 44

struct standing {
    char hash[STANDING_HASH_LEN + 1]; /* of the token, base64 */
    uint64_t state;                   /* that it was said of; 0 = nothing was said yet */
    uint64_t until_ms;                /* by rk_mono_ms: no later than the token's end */
    bool asked;                       /* it is in the question that is made, or under way */
    bool known;                       /* a good token of who may ask */
    char pat_id[RK_XID_LEN + 1];
    char user_id[RK_USER_ID_MAX];
    char version[KEPT_VERSION_MAX];
    char presence[KEPT_VERSION_MAX];
};

struct standings;

struct standings *standings_new(void);
void standings_free(struct standings *s); /* NULL is fine */
/* Never NULL: one of which nothing was said yet when there is none. Stays until standings_tidy. */
struct standing *standings_at(struct standings *s, const char *hash);
/* Between questions, when nobody holds one. */
void standings_tidy(struct standings *s);
