#include "services/relay/core/mail.h"

#include <assert.h>
#include <string.h>

bool mail_transport(struct mailbox *m,
                    struct handle to,
                    const struct relay_id *from,
                    const struct incoming *in)
{
    size_t payload = in->n - RELAY_HEAD_LEN;
    struct mail *mail;

    if (m->waiting.n > 0)
        return false;
    mail = ring_reserve(m->out, sizeof(*mail) + payload);
    if (!mail)
        return false;
    *mail =
        (struct mail){ .kind = MAIL_TRANSPORT, .handle = to, .id = *from, .n = (uint32_t)in->n };
    incoming_copy(in, RELAY_HEAD_LEN, payload, mail->payload);
    ring_push(m->out, sizeof(*mail) + payload);
    m->poke = true;
    return true;
}

static bool put(struct mailbox *m, const struct mail *mail)
{
    void *to = ring_reserve(m->out, sizeof(*mail));

    if (!to)
        return false;
    memcpy(to, mail, sizeof(*mail));
    ring_push(m->out, sizeof(*mail));
    m->poke = true;
    return true;
}

void mail_directory(struct mailbox *m, uint32_t event, const struct relay_id *id, struct handle h)
{
    struct mail mail = { .kind = MAIL_DIRECTORY, .event = event, .handle = h, .id = *id };
    bool kept;

    if (mail_retry(m) && put(m, &mail))
        return;
    /* Bounded by the number of connections, which has its own limit; losing one would break a
     * tunnel silently. */
    kept = rk_buf_put(&m->waiting, &mail, sizeof(mail));
    assert(kept);
    (void)kept;
}

bool mail_retry(struct mailbox *m)
{
    struct mail mail;
    size_t at = 0;

    while (at < m->waiting.n) {
        memcpy(&mail, m->waiting.p + at, sizeof(mail));
        if (!put(m, &mail))
            break;
        at += sizeof(mail);
    }
    if (at > 0)
        rk_buf_consume(&m->waiting, at);
    return m->waiting.n == 0;
}
