/*
 * A walk over the fields of SyncResponse and NetworkMap, without building anything: thousands of
 * maps a second are looked at, by a program that shares the machine with who makes them.
 */

#include "tests/bench/fleet/map.h"

#include <string.h>

#include "libcommon/base/cursor.h"

struct reader {
    struct map_scope *scope;
    struct map_facts facts;
    enum fault fault;
    struct rk_err *err;
};

struct field {
    uint64_t number, value;
    struct rk_str bytes;
};

static bool next_field(struct rk_cursor *c, struct field *f)
{
    uint64_t tag;

    if (c->n == 0 || c->bad)
        return false;
    tag = rk_cursor_varint(c);
    *f = (struct field){ .number = tag >> 3 };
    switch (tag & 7) {
    case 0:
        f->value = rk_cursor_varint(c);
        break;
    case 1:
        (void)rk_cursor_take(c, 8);
        break;
    case 2:
        f->bytes = rk_cursor_take(c, (size_t)rk_cursor_varint(c));
        break;
    case 5:
        (void)rk_cursor_take(c, 4);
        break;
    default:
        c->bad = true;
    }
    return !c->bad;
}

static struct rk_cursor fields(struct rk_str s)
{
    return rk_cursor(s.p, s.n);
}

static bool wrong(struct reader *r, enum fault fault, const char *what, uint32_t number)
{
    r->fault = fault;
    (void)rk_fail(r->err, RK_INVALID, "agent %u: a map %s %u", r->scope->self, what, number);
    return false;
}

static bool unreadable(struct reader *r, const char *what)
{
    r->fault = FAULT_UNREADABLE;
    (void)rk_fail(r->err, RK_INVALID, "agent %u: %s cannot be read", r->scope->self, what);
    return false;
}

/* One who is in the map: by name, and then the key has to be that agent's. */
static bool add_member(struct reader *r, struct rk_str name, const uint8_t *key)
{
    struct map_scope *s = r->scope;
    uint32_t n;

    if (!identity_number(s->id, name, &n)) {
        r->facts.strangers++;
        return true;
    }
    if (n >= s->agents || n < s->first || n >= s->end)
        return wrong(r, FAULT_STRANGER, "holds one of another group,", n);
    if (n == s->self)
        return wrong(r, FAULT_STRANGER, "holds its own owner,", n);
    if (s->seen[n] == s->stamp)
        return wrong(r, FAULT_TWICE, "holds twice", n);
    if (!key || memcmp(key, s->keys[n], RK_KEY_LEN) != 0)
        return wrong(r, FAULT_KEY, "has a wrong key for", n);
    s->seen[n] = s->stamp;
    r->facts.members++;
    return true;
}

/* RemotePeerConfig */
static bool read_peer(struct reader *r, struct rk_str peer)
{
    struct rk_cursor c = fields(peer);
    struct rk_str name = { NULL, 0 }, text = { NULL, 0 };
    uint8_t key[RK_KEY_LEN];
    struct field f;

    while (next_field(&c, &f)) {
        if (f.number == 1)
            text = f.bytes;
        else if (f.number == 4)
            name = f.bytes;
    }
    if (c.bad)
        return unreadable(r, "a peer of its map");
    return add_member(r, name, rk_key_parse(text, key) ? key : NULL);
}

static void set_change(struct reader *r, uint64_t port)
{
    if (port < MAP_FIRST_PORT || port > MAP_FIRST_PORT + MAP_MAX_CHANGES)
        return;
    r->facts.change = (uint32_t)port - MAP_FIRST_PORT;
    r->facts.has_change = true;
}

static bool is_ours(const struct map_scope *s, struct rk_str id)
{
    return rk_str_eq(id, rk_str(s->policy)) || rk_str_eq(id, rk_str(s->rule));
}

/* FirewallRule: the port of the fleet's own rule. */
static bool read_rule(struct reader *r, struct rk_str rule)
{
    struct rk_cursor c = fields(rule);
    struct rk_str id = { NULL, 0 };
    uint64_t port = 0;
    struct field f;

    while (next_field(&c, &f)) {
        if (f.number == 5 && !rk_str_u64(f.bytes, &port))
            port = 0;
        else if (f.number == 7)
            id = f.bytes;
    }
    if (c.bad)
        return unreadable(r, "a rule of its map");
    if (is_ours(r->scope, id))
        set_change(r, port);
    return true;
}

static uint64_t sum(const struct reader *r, uint64_t path, struct rk_str bytes)
{
    return identity_sum(r->scope->id, bytes.p, bytes.n) * (2 * path + 1);
}

/* DNS: zones and records are sets, so they are summed one by one. */
static uint64_t sum_dns(const struct reader *r, uint64_t path, struct rk_str bytes, unsigned depth)
{
    struct rk_cursor c = fields(bytes);
    uint64_t total = path;
    struct field f;

    while (next_field(&c, &f)) {
        if (depth < 2 && f.bytes.p && (f.number == 2 || f.number == 3))
            total += sum_dns(r, path * 16 + f.number, f.bytes, depth + 1);
        else
            total += sum(r, path * 16 + f.number, f.bytes) + f.value * 1000003;
    }
    /* Text, which only looked like a message. */
    return c.bad ? sum(r, path, bytes) : total * 0x9e3779b97f4a7c15u;
}

static bool read_classic(struct reader *r, struct rk_str map)
{
    struct rk_cursor c = fields(map);
    struct field f;

    while (next_field(&c, &f)) {
        bool good = true;

        if (f.number == 1) {
            r->facts.serial = f.value;
            continue;
        }
        if (f.number == 3 || f.number == 7)
            good = read_peer(r, f.bytes);
        else if (f.number == 8)
            good = read_rule(r, f.bytes);
        if (!good)
            return false;
        r->facts.digest += f.number == 6 ? sum_dns(r, 6, f.bytes, 0)
                                         : sum(r, f.number, f.bytes) + f.value * 1000003;
    }
    return !c.bad || unreadable(r, "its map");
}

/* PeerCompact, in components. */
static bool read_compact(struct reader *r, struct rk_str peer)
{
    struct rk_cursor c = fields(peer);
    struct rk_str name = { NULL, 0 }, key = { NULL, 0 };
    struct field f;

    while (next_field(&c, &f)) {
        if (f.number == 1)
            key = f.bytes;
        else if (f.number == 5)
            name = f.bytes;
    }
    if (c.bad || key.n != RK_KEY_LEN)
        return unreadable(r, "a peer of its components");
    r->facts.digest += sum(r, 1, key) + sum(r, 5, name);
    if (memcmp(key.p, r->scope->keys[r->scope->self], RK_KEY_LEN) == 0)
        return true; /* components hold their owner */
    return add_member(r, name, (const uint8_t *)key.p);
}

/* PolicyCompact: ports are packed. */
static bool read_policy(struct reader *r, struct rk_str policy)
{
    struct rk_cursor c = fields(policy), ports;
    struct rk_str id = { NULL, 0 };
    uint64_t port = 0;
    struct field f;

    while (next_field(&c, &f)) {
        if (f.number == 1) {
            id = f.bytes;
        } else if (f.number == 5) {
            ports = fields(f.bytes);
            port = f.bytes.n > 0 ? rk_cursor_varint(&ports) : f.value;
        }
    }
    if (c.bad)
        return unreadable(r, "a policy of its components");
    if (is_ours(r->scope, id))
        set_change(r, port);
    return true;
}

static bool read_full(struct reader *r, struct rk_str full)
{
    struct rk_cursor c = fields(full);
    struct field f;

    while (next_field(&c, &f)) {
        if (f.number == 1)
            r->facts.serial = f.value;
        else if (f.number == 9 && !read_compact(r, f.bytes))
            return false;
        else if (f.number == 11 && !read_policy(r, f.bytes))
            return false;
    }
    r->facts.digest += r->facts.change;
    return !c.bad || unreadable(r, "its components");
}

static bool read_envelope(struct reader *r, struct rk_str envelope)
{
    struct rk_cursor c = fields(envelope);
    struct field f;

    while (next_field(&c, &f))
        if (f.number == 1)
            return read_full(r, f.bytes);
    return unreadable(r, "its envelope");
}

bool map_read(struct map_scope *scope,
              struct rk_str plain,
              struct map_facts *out,
              enum fault *out_fault,
              struct rk_err *err)
{
    struct reader r = { .scope = scope, .err = err };
    struct rk_cursor c = fields(plain);
    bool good = true;
    struct field f;

    scope->stamp++;
    while (good && next_field(&c, &f)) {
        if (f.number == 1) {
            r.facts.config = f.bytes;
        } else if (f.number == 5) {
            r.facts.is_map = true;
            good = read_classic(&r, f.bytes);
        } else if (f.number == 8) {
            r.facts.is_map = r.facts.components = true;
            good = read_envelope(&r, f.bytes);
        }
    }
    if (good && c.bad)
        good = unreadable(&r, "a message of Sync");
    if (good)
        *out = r.facts;
    else
        *out_fault = r.fault;
    return good;
}
