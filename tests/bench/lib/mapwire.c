#include "tests/bench/lib/mapwire.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "libcommon/account/compile/wire.h"
#include "libcommon/base/alloc.h"
#include "libcommon/base/cursor.h"
#include "proto/management.pb-c.h"

#define BLOCK 64      /* of the cipher */
#define KEY_STREAM 32 /* bytes of it that become the authenticator's key */
#define NONCE crypto_box_NONCEBYTES
#define MAC crypto_box_MACBYTES

void mapwire_seal(const uint8_t public_key[RK_KEY_LEN],
                  const struct rk_box *box,
                  struct rk_str plain,
                  struct rk_buf *out)
{
    rk_auto(rk_free) void *body = rk_alloc(plain.n + RK_BOX_OVERHEAD);
    char key[RK_KEY_B64_LEN + 1];

    rk_key_format(public_key, key);
    rk_box_seal(box, plain.p, plain.n, body);
    rk_wire_str(out, 1, rk_str(key));
    rk_wire_str(out, 2, rk_strn(body, plain.n + RK_BOX_OVERHEAD));
}

struct meta {
    Management__PeerSystemMeta m;
    Management__Environment environment;
    Management__Flags flags;
    Management__NetworkAddress address, *addresses[1];
    Management__PeerCapability capabilities[2];
};

static void meta_init(struct meta *t, const struct mapwire_agent *agent)
{
    management__peer_system_meta__init(&t->m);
    management__environment__init(&t->environment);
    management__flags__init(&t->flags);
    management__network_address__init(&t->address);
    t->address.netip = (char *)(uintptr_t) "192.168.17.23/24";
    t->address.mac = (char *)(uintptr_t) "02:42:ac:11:00:02";
    t->addresses[0] = &t->address;
    t->capabilities[0] = MANAGEMENT__PEER_CAPABILITY__PeerCapabilitySourcePrefixes;
    t->capabilities[1] = MANAGEMENT__PEER_CAPABILITY__PeerCapabilityIPv6Overlay;
    t->m.hostname = (char *)(uintptr_t)agent->hostname;
    t->m.goos = (char *)(uintptr_t) "linux";
    t->m.kernel = (char *)(uintptr_t) "Linux";
    t->m.core = t->m.osversion = (char *)(uintptr_t) "12";
    t->m.platform = (char *)(uintptr_t) "x86_64";
    t->m.os = (char *)(uintptr_t) "Debian GNU/Linux";
    t->m.netbirdversion = (char *)(uintptr_t) "0.77.1";
    t->m.kernelversion = (char *)(uintptr_t) "6.1.0-18-amd64";
    t->m.environment = &t->environment;
    t->m.flags = &t->flags;
    t->m.networkaddresses = t->addresses;
    t->m.n_networkaddresses = 1;
    t->m.capabilities = t->capabilities;
    t->m.n_capabilities = 2;
    t->m.syncmessageversion = agent->sync_version;
}

static void pack(const ProtobufCMessage *m, struct rk_buf *out)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    rk_auto(rk_free) void *p = rk_alloc(n + 1);

    (void)protobuf_c_message_pack(m, p);
    rk_buf_put(out, p, n);
}

void mapwire_login(const struct mapwire_agent *agent, const char *setup_key, struct rk_buf *out)
{
    static char ssh[] =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2x1y3m4n5o6p7q8r9s0t1u2v3w4x5y6z7a8b9c0d1e";
    Management__LoginRequest q;
    Management__PeerKeys keys;
    struct meta t;

    management__login_request__init(&q);
    management__peer_keys__init(&keys);
    meta_init(&t, agent);
    keys.sshpubkey = (ProtobufCBinaryData){ sizeof(ssh) - 1, (uint8_t *)ssh };
    q.meta = &t.m;
    q.peerkeys = &keys;
    if (setup_key)
        q.setupkey = (char *)(uintptr_t)setup_key;
    pack(&q.base, out);
}

void mapwire_sync(const struct mapwire_agent *agent, struct rk_buf *out)
{
    Management__SyncRequest q;
    struct meta t;

    management__sync_request__init(&q);
    meta_init(&t, agent);
    q.meta = &t.m;
    pack(&q.base, out);
}

/* The next field: its number, and its bytes or its value. False at the end. */
static bool
next_field(struct rk_cursor *c, uint64_t *out_field, struct rk_str *out_bytes, uint64_t *out_value)
{
    uint64_t tag;

    if (c->n == 0 || c->bad)
        return false;
    tag = rk_cursor_varint(c);
    *out_field = tag >> 3;
    *out_bytes = (struct rk_str){ NULL, 0 };
    *out_value = 0;
    if ((tag & 7) == 2)
        *out_bytes = rk_cursor_take(c, rk_cursor_varint(c));
    else if ((tag & 7) == 0)
        *out_value = rk_cursor_varint(c);
    else
        c->bad = true; /* nothing else is in these messages' upper levels */
    return !c->bad;
}

bool mapwire_body(struct rk_str message, struct rk_str *out_body)
{
    struct rk_cursor c = rk_cursor(message.p, message.n);
    uint64_t field, value;
    struct rk_str bytes;

    while (next_field(&c, &field, &bytes, &value))
        if (field == 2 && bytes.n >= RK_BOX_OVERHEAD) {
            *out_body = bytes;
            return true;
        }
    return false;
}

struct peek {
    const struct rk_box *box;
    const uint8_t *nonce, *sealed;
    size_t n, at;
    uint64_t block; /* the one in `clear`; UINT64_MAX: none */
    uint8_t clear[BLOCK];
};

static void decrypt_block(struct peek *k, uint64_t block)
{
    uint8_t in[BLOCK] = { 0 };
    size_t from = block == 0 ? 0 : (size_t)block * BLOCK - KEY_STREAM,
           skip = block == 0 ? KEY_STREAM : 0, n = BLOCK - skip;

    if (n > k->n - from)
        n = k->n - from;
    memcpy(in + skip, k->sealed + from, n);
    (void)crypto_stream_xsalsa20_xor_ic(k->clear, in, BLOCK, k->nonce, block, k->box->k);
    k->block = block;
}

/* 0 past the end: no tag is. */
static uint8_t peek_byte(struct peek *k)
{
    uint64_t stream = (uint64_t)k->at + KEY_STREAM;

    if (k->at >= k->n)
        return 0;
    if (stream / BLOCK != k->block)
        decrypt_block(k, stream / BLOCK);
    k->at++;
    return k->clear[stream % BLOCK];
}

static uint64_t peek_varint(struct peek *k)
{
    uint64_t v = 0;
    uint8_t b = 0x80;

    for (unsigned shift = 0; b & 0x80 && shift < 64; shift += 7) {
        b = peek_byte(k);
        v |= (uint64_t)(b & 0x7f) << shift;
    }
    return v;
}

uint64_t mapwire_peek_serial(const struct rk_box *box, struct rk_str body)
{
    const uint8_t *p = (const uint8_t *)body.p;
    struct peek k = { .box = box,
                      .nonce = p,
                      .sealed = p + NONCE + MAC,
                      .n = body.n - NONCE - MAC,
                      .block = UINT64_MAX };

    while (k.at < k.n) {
        uint64_t tag = peek_varint(&k), v = peek_varint(&k);

        if (tag == (5 << 3 | 2)) /* NetworkMap, whose first field is its serial */
            return peek_varint(&k) == (1 << 3) ? peek_varint(&k) : 0;
        if ((tag & 7) == 2)
            k.at = v < k.n - k.at ? k.at + (size_t)v : k.n;
        else if ((tag & 7) != 0)
            return 0;
    }
    return 0;
}

static void count_map(struct rk_str map, struct mapwire_map *out)
{
    struct rk_cursor c = rk_cursor(map.p, map.n);
    uint64_t field, value;
    struct rk_str bytes;

    while (next_field(&c, &field, &bytes, &value)) {
        if (field == 1)
            out->serial = value;
        else if (field == 3 || field == 7)
            out->peers++;
    }
}

bool mapwire_open(const struct rk_box *box, struct rk_str body, struct mapwire_map *out)
{
    rk_auto(rk_free) uint8_t *plain = rk_alloc(body.n);
    struct rk_cursor c;
    uint64_t field, value;
    struct rk_str bytes;
    bool found = false;

    if (rk_box_open(box, body.p, body.n, plain) < 0)
        return false;
    *out = (struct mapwire_map){ 0, 0 };
    c = rk_cursor(plain, body.n - RK_BOX_OVERHEAD);
    while (next_field(&c, &field, &bytes, &value))
        if (field == 5) {
            count_map(bytes, out);
            found = true;
        }
    return found && !c.bad;
}
