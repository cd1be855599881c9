/* The response is assembled in place: frame header, two fields, and the box sealed straight into
 * the frame. */

#include "services/management/rpc/envelope.h"

#include "libcommon/account/compile/wire.h"
#include "proto/management.pb-c.h"

/* The key shared with the sender: known before, or computed. */
static bool
find_box(const struct rk_keypair *server, envelope_box_fn *box_of, void *arg, struct envelope *e)
{
    const struct rk_box *known = box_of(arg, e->key);

    if (!known)
        return rk_box_init(&e->box, server, e->key);
    e->box = *known;
    return true;
}

int envelope_open(const struct rk_keypair *server,
                  envelope_box_fn *box_of,
                  void *arg,
                  struct rk_str message,
                  struct rk_arena *arena,
                  struct envelope *out,
                  struct rk_err *err)
{
    Management__EncryptedMessage *m;
    uint8_t *plain;

    m = management__encrypted_message__unpack(rk_arena_protobuf(arena), message.n,
                                              (const uint8_t *)message.p);
    if (!m)
        return rk_fail(err, RK_INVALID, "invalid request message");
    if (!rk_key_parse(rk_str(m->wgpubkey), out->key))
        return rk_fail(err, RK_INVALID, "provided wgPubKey %.64s is invalid", m->wgpubkey);
    rk_key_format(out->key, out->key_b64);
    if (!find_box(server, box_of, arg, out) || m->body.len < RK_BOX_OVERHEAD)
        return rk_fail(err, RK_INVALID, "invalid request message");
    plain = rk_arena_try_alloc(arena, m->body.len - RK_BOX_OVERHEAD + 1);
    if (!plain || rk_box_open(&out->box, m->body.data, m->body.len, plain) < 0)
        return rk_fail(err, RK_INVALID, "invalid request message");
    out->plain = rk_strn(plain, m->body.len - RK_BOX_OVERHEAD);
    return 0;
}

struct rk_bytes *envelope_seal(const char server_key_b64[RK_KEY_B64_LEN + 1],
                               const struct rk_box *box,
                               struct rk_str plain)
{
    size_t body = plain.n + RK_BOX_OVERHEAD;
    size_t len = 2 + RK_KEY_B64_LEN + 1 + rk_wire_varint_size(body) + body;
    struct rk_bytes *f = rk_bytes_new_spare(5 + len);
    uint8_t *p = f->p;

    *p++ = 0; /* never compressed */
    *p++ = (uint8_t)(len >> 24);
    *p++ = (uint8_t)(len >> 16);
    *p++ = (uint8_t)(len >> 8);
    *p++ = (uint8_t)len;
    *p++ = 1 << 3 | 2;
    *p++ = RK_KEY_B64_LEN;
    memcpy(p, server_key_b64, RK_KEY_B64_LEN);
    p += RK_KEY_B64_LEN;
    *p++ = 2 << 3 | 2;
    for (size_t v = body;; v >>= 7) {
        *p++ = (uint8_t)(v < 128 ? v : (v & 127) | 128);
        if (v < 128)
            break;
    }
    rk_box_seal(box, plain.p, plain.n, p);
    return f;
}
