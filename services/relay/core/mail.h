#pragma once

/*
 * Mail between cores: directory events and TRANSPORT messages, in order for each pair of cores. One
 * mailbox holds both directions to one other core; its rings are shared with that core, the rest is
 * the owner's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "services/relay/core/ring.h"
#include "services/relay/session/session.h"

struct mailbox {
    struct ring *in;
    struct ring *out;
    struct rk_buf waiting; /* directory events that found the ring full, in order */
    bool poke;             /* something was written since the last wake-up */
};

enum mail_kind {
    MAIL_DIRECTORY,
    MAIL_TRANSPORT,
};

struct mail {
    uint32_t kind;
    uint32_t event; /* MAIL_DIRECTORY: enum directory_event */
    struct handle handle;
    struct relay_id id; /* MAIL_DIRECTORY: whose; MAIL_TRANSPORT: the sender's */
    uint32_t n;         /* MAIL_TRANSPORT: length of the message, whose bytes from 38 on follow */
    uint8_t payload[];
};

/* False: the ring is full, or directory events wait before it. */
bool mail_transport(struct mailbox *m,
                    struct handle to,
                    const struct relay_id *from,
                    const struct incoming *in);
/* Never lost: waits when the ring is full. */
void mail_directory(struct mailbox *m, uint32_t event, const struct relay_id *id, struct handle h);
/* Tries to move what waits into the ring; true when nothing waits any more. */
bool mail_retry(struct mailbox *m);
