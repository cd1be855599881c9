#pragma once

/*
 * One connection to a Redis or to a Sentinel: dialled, let in, then asked. Answers come in the
 * order of the questions; what is nobody's answer comes from a subscription. Loop thread only.
 */

#include <stdbool.h>

#include <hiredis/hiredis.h>

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"
#include "libcommon/loop/loop.h"

struct wire;

/* How one is let in. Empty or NULL: without. */
struct wire_door {
    const char *user, *password;
    bool tls;
    const char *ca_file, *cert_file, *key_file;
};

struct wire_ops {
    void (*on_ready)(void *arg); /* it may be asked */
    void (*on_push)(const redisReply *said, void *arg);
    /* Gone by itself; all questions are answered with NULL next. Never after wire_close, never
     * inside wire_dial. */
    void (*on_lost)(const char *why, void *arg);
    void (*on_freed)(void *arg); /* the last call, however it ended */
};

/* `said` NULL: the connection went before the answer. */
typedef void wire_reply_fn(const redisReply *said, void *arg);

/* unix:/path or host:port, where the host may be a name. */
bool wire_address_ok(struct rk_str address);
/* The files of the door can be read, and go together. */
int wire_door_check(const struct wire_door *door, struct rk_err *err);

/* What `door` points to must stay as long as the wire. */
struct wire *wire_dial(struct rk_loop *l,
                       const char *address,
                       const struct wire_door *door,
                       const struct wire_ops *ops,
                       void *arg);
/* argv style, binary safe. Once it is ready. */
void wire_ask(
    struct wire *w, const struct rk_str *argv, size_t argc, wire_reply_fn *on_reply, void *arg);
/* The same for what is answered by pushes: SUBSCRIBE, and PING while subscribed. */
void wire_tell(struct wire *w, const struct rk_str *argv, size_t argc);
/* Answers all questions with NULL before it returns; NULL is fine. */
void wire_close(struct wire *w);
