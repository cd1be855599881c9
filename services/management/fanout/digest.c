/*
 * The serial stands in NetworkMap.Serial (SyncResponse 5, 1), or, in components, in
 * NetworkMapComponentsFull.serial (8, 1, 1) and AccountNetwork.serial (8, 1, 3, 5). These fields
 * and the heads of the messages around them, whose lengths they decide, are left out; each piece
 * between them is hashed with its own length. What is sent to an agent was compiled by us, but
 * the walk is bounded all the same.
 *
 * As in UMAC: NH makes 16 bytes of each block, and Poly1305 sums these up. Nobody ever sees a sum,
 * so that one key serves for all; of those who cannot see any, nobody can name two texts with the
 * same one (the odds are NH's, 1 to 2^64).
 */

#include "services/management/fanout/digest.h"

#include "libcommon/base/id.h"
#include "libcommon/crypto/poly1305.h"

struct field {
    uint64_t number;
    size_t at;        /* of its tag */
    size_t body, end; /* of its value */
    bool is_message;
};

static bool varint(struct rk_str s, size_t *at, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && *at < s.n; shift += 7) {
        uint8_t c = (uint8_t)s.p[(*at)++];

        *out |= (uint64_t)(c & 127) << shift;
        if (c < 128)
            return true;
    }
    return false;
}

/* The field at `at`, inside [at, end). */
static bool read_field(struct rk_str s, size_t at, size_t end, struct field *f)
{
    struct rk_str part = rk_strn(s.p, end);
    uint64_t tag, n;

    f->at = at;
    if (!varint(part, &at, &tag))
        return false;
    f->number = tag >> 3;
    f->body = at;
    f->is_message = (tag & 7) == 2;
    switch (tag & 7) {
    case 0:
        if (!varint(part, &at, &n))
            return false;
        f->end = at;
        return true;
    case 2:
        if (!varint(part, &at, &n) || n > end - at)
            return false;
        f->body = at;
        f->end = at + (size_t)n;
        return true;
    default:
        return false;
    }
}

/* The first field of that number in [at, end); fields come in ascending order. */
static bool find(struct rk_str s, size_t at, size_t end, uint64_t number, struct field *f)
{
    while (at < end && read_field(s, at, end, f) && f->number <= number) {
        if (f->number == number)
            return true;
        at = f->end;
    }
    return false;
}

/* Like find, for a message, in whatever order fields are. */
static bool find_message(struct rk_str s, size_t at, size_t end, uint64_t number, struct field *f)
{
    while (at < end && read_field(s, at, end, f)) {
        if (f->number == number && f->is_message)
            return true;
        at = f->end;
    }
    return false;
}

#define GAPS_MAX 6 /* the last is the end */

struct gaps {
    struct {
        size_t at, end;
    } v[GAPS_MAX];
    size_t n;
    uint64_t tails[GAPS_MAX];
    size_t tails_n;
};

static void gap(struct gaps *g, size_t at, size_t end)
{
    g->v[g->n].at = at;
    g->v[g->n++].end = end;
}

static void gap_head(struct gaps *g, struct rk_str s, const struct field *in)
{
    gap(g, in->at, in->body);
    g->tails[g->tails_n++] = s.n - in->end;
}

/* The head of a message, and the serial in it. */
static void gaps_in(struct gaps *g, struct rk_str s, const struct field *in, uint64_t number)
{
    struct field f;

    gap_head(g, s, in);
    if (find(s, in->body, in->end, number, &f) && !f.is_message)
        gap(g, f.at, f.end);
}

static bool find_serials(struct rk_str s, struct gaps *g)
{
    struct field map, full, network;

    if (find_message(s, 0, s.n, 5, &map)) {
        gaps_in(g, s, &map, 1);
        return true;
    }
    if (!find_message(s, 0, s.n, 8, &map) || !find_message(s, map.body, map.end, 1, &full))
        return false;
    gap_head(g, s, &map);
    gaps_in(g, s, &full, 1);
    if (find_message(s, full.body, full.end, 3, &network))
        gaps_in(g, s, &network, 5);
    return true;
}

void digest_key_new(struct digest_key *key)
{
    rk_random(key, sizeof(*key));
}

static void add_piece(struct rk_poly1305 *sum, const struct rk_nh_key *key, struct rk_str piece)
{
    uint64_t length = piece.n;
    uint8_t block[RK_NH_LEN];

    if (length == 0)
        return;
    rk_poly1305_add(sum, &length, sizeof(length));
    for (size_t at = 0, n; at < piece.n; at += n) {
        n = piece.n - at < RK_NH_BLOCK ? piece.n - at : RK_NH_BLOCK;
        rk_nh(key, piece.p + at, n, block);
        rk_poly1305_add(sum, block, sizeof(block));
    }
}

bool digest_map(const struct digest_key *key, struct rk_str map, uint8_t out[DIGEST_LEN])
{
    struct gaps gaps = { .n = 0, .tails_n = 0 };
    struct rk_poly1305 *sum;
    size_t at = 0;

    if (!find_serials(map, &gaps))
        return false;
    gap(&gaps, map.n, map.n);
    sum = rk_poly1305_begin(key->poly1305);
    for (size_t i = 0; i < gaps.n; i++) {
        add_piece(sum, &key->nh, rk_strn(map.p + at, gaps.v[i].at - at));
        at = gaps.v[i].end;
    }
    rk_poly1305_add(sum, gaps.tails, gaps.tails_n * sizeof(gaps.tails[0]));
    rk_poly1305_end(sum, out);
    return true;
}
