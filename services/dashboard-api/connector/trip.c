/* See trip.h. In a note the four texts stand one a line. */

#include "services/dashboard-api/connector/trip.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"

#define MAX_STATE 256

void trip_new(struct trip *t, const char *connector_id)
{
    memset(t, 0, sizeof(*t));
    (void)rk_str_copy(rk_str(connector_id), t->connector_id, sizeof(t->connector_id));
    rk_random_text(t->mark);
    rk_random_text(t->nonce);
    rk_random_text(t->verifier);
}

void trip_write(const struct trip *t, struct rk_buf *out)
{
    rk_buf_printf(out, "%s\n%s\n%s\n%s", t->connector_id, t->mark, t->nonce, t->verifier);
}

bool trip_read(struct rk_str note, struct trip *out)
{
    struct trip t;
    const struct {
        char *to;
        size_t size;
    } line[] = {
        { t.connector_id, sizeof(t.connector_id) },
        { t.mark, sizeof(t.mark) },
        { t.nonce, sizeof(t.nonce) },
        { t.verifier, sizeof(t.verifier) },
    };
    struct rk_str part;

    for (size_t i = 0; i < RK_COUNT(line); i++)
        if (!rk_str_next(&note, '\n', &part) || part.n == 0 ||
            !rk_str_copy(part, line[i].to, line[i].size))
            return false;
    if (note.p)
        return false;
    *out = t;
    return true;
}

const char *trip_state(const struct trip *t, const char *login_id, struct rk_arena *arena)
{
    return rk_arena_printf(arena, "%s.%s", login_id, t->mark);
}

/* The mark behind the last dot; NULL when there is none. */
static const char *mark_of(const char *state)
{
    const char *dot = strrchr(state, '.');

    if (!dot || dot == state || strlen(state) > MAX_STATE || strlen(dot + 1) != TRIP_SECRET_LEN)
        return NULL;
    return dot + 1;
}

const char *trip_login(const char *state, struct rk_arena *arena)
{
    const char *mark = mark_of(state);

    return mark ? rk_arena_strn(arena, rk_strn(state, (size_t)(mark - 1 - state))) : NULL;
}

bool trip_is(const struct trip *t, const char *state)
{
    const char *mark = mark_of(state);

    return mark && rk_const_eq(mark, t->mark, TRIP_SECRET_LEN);
}

void trip_challenge(const struct trip *t, char out[TRIP_SECRET_LEN + 1])
{
    uint8_t hash[32];

    rk_sha256(t->verifier, strlen(t->verifier), hash);
    rk_b64url_encode(hash, sizeof(hash), out);
}
