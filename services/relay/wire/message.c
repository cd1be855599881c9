#include "services/relay/wire/message.h"

#include <assert.h>
#include <string.h>

#include "libcommon/net/ws_frame.h"

#define AUTH_ID_AT 6
#define AUTH_TOKEN_AT (AUTH_ID_AT + RELAY_ID_LEN)

static const uint8_t magic[4] = { 0x21, 0x12, 0xa4, 0x42 };

void incoming_init(struct incoming *m, const uint8_t *p, size_t n, const uint8_t mask[4])
{
    m->p = p;
    m->n = n;
    memcpy(m->mask, mask, sizeof(m->mask));
    rk_ws_mask(m->head, p, n < RELAY_HEAD_LEN ? n : RELAY_HEAD_LEN, mask, 0);
}

void incoming_copy(const struct incoming *m, size_t from, size_t n, uint8_t *out)
{
    rk_ws_mask(out, m->p + from, n, m->mask, from);
}

int relay_auth_parse(const uint8_t *p,
                     size_t n,
                     struct relay_id *out_id,
                     struct rk_str *out_token,
                     struct rk_err *err)
{
    if (n > RELAY_MAX_AUTH)
        return rk_fail(err, RK_INVALID, "first message has %zu bytes, at most %d are allowed", n,
                       RELAY_MAX_AUTH);
    if (n < AUTH_TOKEN_AT + 1)
        return rk_fail(err, RK_INVALID, "first message of %zu bytes is too short for AUTH", n);
    if (p[0] != RELAY_VERSION)
        return rk_fail(err, RK_INVALID, "unknown version %u", p[0]);
    if (p[1] != RELAY_AUTH)
        return rk_fail(err, RK_INVALID, "first message has type %u, not AUTH", p[1]);
    if (memcmp(p + 2, magic, sizeof(magic)) != 0)
        return rk_fail(err, RK_INVALID, "bad magic in AUTH");
    memcpy(out_id->b, p + AUTH_ID_AT, RELAY_ID_LEN);
    *out_token = rk_strn(p + AUTH_TOKEN_AT, n - AUTH_TOKEN_AT);
    return 0;
}

size_t relay_auth_write(const struct relay_id *id, struct rk_str token, uint8_t out[RELAY_MAX_AUTH])
{
    assert(token.n <= RELAY_MAX_TOKEN);
    out[0] = RELAY_VERSION;
    out[1] = RELAY_AUTH;
    memcpy(out + 2, magic, sizeof(magic));
    memcpy(out + AUTH_ID_AT, id->b, RELAY_ID_LEN);
    memcpy(out + AUTH_TOKEN_AT, token.p, token.n);
    return AUTH_TOKEN_AT + token.n;
}
