#include "libcommon/edge/claim.h"

/* A protobuf message inside another one, beside its MAC. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/conf/addr.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "proto/edge.pb-c.h"

#define CLOCKS_APART_US (60 * INT64_C(1000000))
#define LATITUDE_MAX 900000
#define LONGITUDE_MAX 1800000

/* A purpose of its own: what agents get is signed with another key of the same secret. */
void rk_claim_key_init(struct rk_claim_key *k, struct rk_str relay_secret)
{
    struct rk_str purpose = RK_STR("rookery edge claim 1");
    struct rk_ring ring;

    (void)rk_ring_split(relay_secret, &ring, NULL); /* the settings have been checked */
    k->ring.n = ring.n;
    for (unsigned i = 0; i < ring.n; i++)
        rk_hmac_sha256(ring.secret[i].p, ring.secret[i].n, purpose.p, purpose.n, k->ring.key[i]);
}

int rk_edge_url_check(struct rk_str url, enum rk_edge_kind *out, struct rk_err *err)
{
    bool stun = rk_str_starts(url, RK_STR("stun:")) && !rk_str_starts(url, RK_STR("stun://"));
    struct rk_str scheme, host;
    char text[RK_EDGE_URL_MAX + 4], ending[8];
    uint16_t port;
    int r;

    if (url.n == 0 || url.n > RK_EDGE_URL_MAX || memchr(url.p, '\0', url.n) ||
        !rk_utf8_valid(url) || rk_str_ends(url, RK_STR("/")))
        return rk_fail(err, RK_INVALID, "'%.*s' is no address of a relay or a STUN server",
                       (int)(url.n > 64 ? 64 : url.n), url.p);
    if (stun)
        (void)snprintf(text, sizeof(text), "stun://%.*s", (int)url.n - 5, url.p + 5);
    else
        (void)snprintf(text, sizeof(text), "%.*s", RK_STR_FMT(url));
    r = rk_url_parse(rk_str(text), &scheme, &host, &port, err);
    if (r < 0)
        return r;
    if (!stun && !rk_str_eq(scheme, RK_STR("rel")) && !rk_str_eq(scheme, RK_STR("rels")))
        return rk_fail(err, RK_INVALID, "'%s' is not rel://, rels:// or stun:", text);
    (void)snprintf(ending, sizeof(ending), ":%u", port);
    if (!rk_str_ends(url, rk_str(ending)))
        return rk_fail(err, RK_INVALID, "'%s' lacks a port", text);
    *out = stun ? RK_EDGE_STUN : RK_EDGE_RELAY;
    return 0;
}

int rk_edge_region_check(struct rk_str region, struct rk_err *err)
{
    bool good = region.n <= RK_EDGE_REGION_MAX;

    for (size_t i = 0; good && i < region.n; i++)
        good = (region.p[i] >= 'a' && region.p[i] <= 'z') ||
               (region.p[i] >= '0' && region.p[i] <= '9') || region.p[i] == '-';
    return good ? 0
                : rk_fail(err, RK_INVALID,
                          "region: at most %d lower-case letters, digits and hyphens",
                          RK_EDGE_REGION_MAX);
}

static bool degrees(struct rk_str text, double max, int32_t *out_e4)
{
    char copy[32], *end;
    double v;

    if (!rk_str_copy(rk_str_trim(text), copy, sizeof(copy)) || !copy[0] ||
        copy[strspn(copy, "0123456789.-")])
        return false;
    v = strtod(copy, &end);
    if (*end || !(fabs(v) <= max))
        return false;
    *out_e4 = (int32_t)lround(v * 10000);
    return true;
}

int rk_position_parse(struct rk_str text, struct rk_position *out, struct rk_err *err)
{
    struct rk_str rest = rk_str_trim(text), latitude, longitude;

    *out = (struct rk_position){ 0 };
    if (rest.n == 0)
        return 0;
    if (!rk_str_next(&rest, ',', &latitude) || !rk_str_next(&rest, ',', &longitude) || rest.p ||
        !degrees(latitude, 90, &out->latitude_e4) || !degrees(longitude, 180, &out->longitude_e4))
        return rk_fail(err, RK_INVALID,
                       "'%.*s' is no latitude and longitude in degrees, such as 50.11,8.68",
                       RK_STR_FMT(text));
    out->known = true;
    return 0;
}

void rk_claim_seal(const struct rk_claim_key *k, const struct rk_claim *c, struct rk_buf *out)
{
    Edge__Claim claim;
    Edge__Renewal renewal;
    uint8_t packed[RK_CLAIM_MAX], mac[32], *to;
    size_t n;

    /* Not by the macros: clang sees a const cast away in them. */
    edge__claim__init(&claim);
    edge__renewal__init(&renewal);
    claim.url = (char *)(uintptr_t)c->url; /* not written to */
    claim.region = (char *)(uintptr_t)c->region;
    claim.located = c->at.known;
    claim.latitude_e4 = c->at.latitude_e4;
    claim.longitude_e4 = c->at.longitude_e4;
    claim.capacity = c->capacity;
    claim.load = c->load;
    claim.leaving = c->leaving;
    claim.at_us = c->said_us;
    claim.who = c->who;
    if (edge__claim__get_packed_size(&claim) > sizeof(packed))
        abort(); /* whoever made it has not looked at its strings */
    renewal.claim.data = packed;
    renewal.claim.len = edge__claim__pack(&claim, packed);
    rk_mac_make(&k->ring, rk_strn(packed, renewal.claim.len), mac);
    renewal.mac.data = mac;
    renewal.mac.len = sizeof(mac);
    n = edge__renewal__get_packed_size(&renewal);
    to = rk_buf_reserve(out, n);
    if (to)
        rk_buf_commit(out, edge__renewal__pack(&renewal, to));
}

static int check(const struct rk_claim *c, int64_t now_us, struct rk_err *err)
{
    enum rk_edge_kind kind;
    int r = rk_edge_url_check(rk_str(c->url), &kind, err);

    if (r == 0)
        r = rk_edge_region_check(rk_str(c->region), err);
    if (r < 0)
        return r;
    if (c->at.latitude_e4 < -LATITUDE_MAX || c->at.latitude_e4 > LATITUDE_MAX ||
        c->at.longitude_e4 < -LONGITUDE_MAX || c->at.longitude_e4 > LONGITUDE_MAX ||
        c->capacity > INT64_MAX / 16 || c->load > INT64_MAX / 16)
        return rk_fail(err, RK_INVALID, "%s claims what cannot be", c->url);
    if (c->said_us < now_us - CLOCKS_APART_US || c->said_us > now_us + CLOCKS_APART_US)
        return rk_fail(err, RK_DENIED, "the clock of %s is more than a minute from ours", c->url);
    return 0;
}

int rk_claim_open(const struct rk_claim_key *k,
                  struct rk_str message,
                  int64_t now_us,
                  struct rk_arena *arena,
                  struct rk_claim *out,
                  struct rk_err *err)
{
    ProtobufCAllocator *memory = rk_arena_protobuf(arena);
    Edge__Renewal *renewal;
    Edge__Claim *claim;
    struct rk_claim c;
    int r;

    renewal = edge__renewal__unpack(memory, message.n, (const uint8_t *)message.p);
    if (!renewal)
        return rk_fail(err, RK_INVALID, "not a claim");
    if (renewal->mac.len != RK_MAC_LEN ||
        !rk_mac_is_right(&k->ring, rk_strn(renewal->claim.data, renewal->claim.len),
                         renewal->mac.data))
        return rk_fail(err, RK_DENIED, "not signed with this relay secret");
    claim = edge__claim__unpack(memory, renewal->claim.len, renewal->claim.data);
    if (!claim)
        return rk_fail(err, RK_INVALID, "not a claim");
    c = (struct rk_claim){ .url = claim->url,
                           .who = claim->who,
                           .region = claim->region,
                           .at = { claim->located, claim->latitude_e4, claim->longitude_e4 },
                           .capacity = claim->capacity,
                           .load = claim->load,
                           .leaving = claim->leaving,
                           .said_us = claim->at_us };
    r = check(&c, now_us, err);
    if (r == 0)
        *out = c;
    return r;
}
