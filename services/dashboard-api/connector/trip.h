#pragma once

/*
 * Trip: what must come back from the upstream provider as it was sent there. It is kept, sealed,
 * with the login under way; one a login, so that whoever goes elsewhere instead has only that trip.
 * Any thread.
 */

#include "libcommon/account/rules/connector.h"
#include "libcommon/base/arena.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"
#include "libcommon/base/id.h"
#include "libcommon/base/str.h"

#define TRIP_SECRET_LEN RK_RANDOM_TEXT_LEN /* fit for a code verifier, too */

struct trip {
    char connector_id[RK_CONNECTOR_ID_MAX];
    char mark[TRIP_SECRET_LEN + 1]; /* the part of `state` that no other trip has */
    char nonce[TRIP_SECRET_LEN + 1];
    char verifier[TRIP_SECRET_LEN + 1]; /* RFC 7636 */
};

void trip_new(struct trip *t, const char *connector_id);
void trip_write(const struct trip *t, struct rk_buf *out);
/* False: there is no trip, as after its end. */
bool trip_read(struct rk_str note, struct trip *out);

/* `state`: the login's id and the mark. */
const char *trip_state(const struct trip *t, const char *login_id, struct rk_arena *arena);
/* The login's id in front; NULL: not a state of ours. */
const char *trip_login(const char *state, struct rk_arena *arena);
/* Whether the state is this trip's; takes equally long however wrong it is. */
bool trip_is(const struct trip *t, const char *state);
/* S256 of the verifier. */
void trip_challenge(const struct trip *t, char out[TRIP_SECRET_LEN + 1]);
