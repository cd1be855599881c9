#pragma once

/*
 * Relay cores without sockets or threads, and sessions whose transport is an array. The test says
 * when a core reads its mail.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/crypto/token.h"
#include "libcommon/net/ws_frame.h"
#include "services/relay/core/core_int.h"
#include "services/relay/core/mail.h"

#define FAKE_URL "rel://relay.example:443"
#define FAKE_SECRET "testsecret"

struct fake {
    struct session session;
    bool released, closing;
    unsigned controls; /* messages queued by control() */
    unsigned forwards; /* and by forward() */
    uint8_t last[RELAY_MAX_MESSAGE];
    size_t last_n;
    void (*on_control)(struct fake *f, const uint8_t *p, size_t n); /* may be NULL */
    void *arg;
};

static inline struct fake *fake_of(struct session *s)
{
    return rk_container_of(s, struct fake, session);
}

static inline void
fake_forward(struct session *s, const struct relay_id *from, const struct incoming *m)
{
    struct fake *f = fake_of(s);

    if (f->closing)
        return;
    assert(f->controls > 0); /* AUTH_RESPONSE is the first message */
    assert(m->n >= RELAY_HEAD_LEN && m->n <= RELAY_MAX_MESSAGE);
    f->last[0] = RELAY_VERSION;
    f->last[1] = RELAY_TRANSPORT;
    memcpy(f->last + 2, from->b, RELAY_ID_LEN);
    incoming_copy(m, RELAY_HEAD_LEN, m->n - RELAY_HEAD_LEN, f->last + RELAY_HEAD_LEN);
    f->last_n = m->n;
    f->forwards++;
}

static inline void fake_control(struct session *s, const uint8_t *p, size_t n)
{
    struct fake *f = fake_of(s);

    if (f->closing)
        return;
    assert(n >= 2 && n <= RELAY_MAX_MESSAGE && p[0] == RELAY_VERSION);
    assert((f->controls == 0) == (p[1] == RELAY_AUTH_RESPONSE));
    if (p[1] == RELAY_PEERS_ONLINE || p[1] == RELAY_PEERS_WENT_OFFLINE)
        assert(n > 2 && (n - 2) % RELAY_ID_LEN == 0);
    memcpy(f->last, p, n);
    f->last_n = n;
    f->controls++;
    if (f->on_control)
        f->on_control(f, p, n);
}

static inline void fake_release(struct session *s)
{
    fake_of(s)->released = true;
}

static inline void fake_close(struct session *s, bool flush, const char *why)
{
    (void)flush;
    assert(why);
    fake_of(s)->closing = true;
}

static const struct transport_ops fake_ops = {
    .name = "fake",
    .forward = fake_forward,
    .control = fake_control,
    .release = fake_release,
    .close = fake_close,
};

static inline struct cores *fake_cores(uint32_t count)
{
    struct core_config cfg = { .instance_url = FAKE_URL,
                               .instance_url_n = sizeof(FAKE_URL) - 1,
                               .queue_bytes = 1 << 20,
                               .share_bytes = 2 << 20,
                               .ring_bytes = 128 * 1024,
                               .max_connections = 1000 };
    int none[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };

    rk_relay_key_init(&cfg.key, RK_STR(FAKE_SECRET));
    return cores_new(count, none, &cfg);
}

static inline struct fake *fake_open(struct core *c)
{
    struct fake *f = rk_new(struct fake);

    session_init(&f->session, c, &fake_ops);
    return f;
}

/* What a transport does at the end of a turn. */
static inline void fake_end(struct fake *f)
{
    session_gone(&f->session);
    free(f);
}

static inline int fake_say(struct fake *f, const uint8_t *p, size_t n, struct rk_err *err)
{
    static const uint8_t mask[4] = { 0x5a, 0, 0xff, 0x13 };
    uint8_t masked[RELAY_MAX_MESSAGE];
    struct incoming m;
    int r;

    assert(n <= sizeof(masked));
    rk_ws_mask(masked, p, n, mask, 0);
    incoming_init(&m, masked, n, mask);
    r = session_message(&f->session, &m, err);
    if (r < 0)
        f->closing = true;
    return r;
}

static inline struct relay_id fake_id(unsigned k)
{
    struct relay_id id = { { 's', 'h', 'a', '-' } };

    id.b[4] = (uint8_t)k;
    id.b[35] = (uint8_t)(k * 7);
    return id;
}

/* A good AUTH for the ID; returns its length. */
static inline size_t fake_auth(const struct relay_id *id, uint8_t out[RELAY_MAX_AUTH])
{
    static uint8_t token[RK_RELAY_TOKEN_MAX];
    static size_t token_n;
    struct rk_relay_key key;

    if (token_n == 0) {
        rk_relay_key_init(&key, RK_STR(FAKE_SECRET));
        token_n = rk_relay_token_binary(&key, 4102444800, token);
    }
    return relay_auth_write(id, rk_strn(token, token_n), out);
}

/* 8, 9 about the IDs first..first+count-1; returns its length. */
static inline size_t
fake_ids(enum relay_type type, unsigned first, unsigned count, uint8_t out[RELAY_MAX_MESSAGE])
{
    out[0] = RELAY_VERSION;
    out[1] = (uint8_t)type;
    for (unsigned i = 0; i < count; i++) {
        struct relay_id id = fake_id(first + i);

        memcpy(out + 2 + i * RELAY_ID_LEN, id.b, RELAY_ID_LEN);
    }
    return 2 + (size_t)count * RELAY_ID_LEN;
}

static inline bool fake_idle(struct cores *all, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++) {
            struct mailbox *m = &cores_at(all, i)->mail[j];

            if (i != j && (!ring_empty(m->in) || m->waiting.n > 0))
                return false;
        }
    return true;
}

/* All cores read their mail until there is none. */
static inline void fake_settle(struct cores *all, uint32_t count)
{
    while (!fake_idle(all, count))
        for (uint32_t i = 0; i < count; i++) {
            core_mail(cores_at(all, i));
            core_poke(cores_at(all, i));
        }
}
