/* The envelope between agent and server, with the protocol's test vectors. */

#include "tests/support/test.h"

#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/encode.h"
#include "services/management/rpc/envelope.h"

#define SERVER_PRIVATE "AAIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH2A="
#define PEER_PRIVATE "YGZnaGlqa2xtbm9wcXJzdHV2d3h5ent8fX5/gIGCg0Q="
#define PEER_PUBLIC "VxR2nRFr92Q2rnS8eT0sMK0ZA8WaxSc4BcfiaYtBDDY="

/* JobRequest{ID="abc"} and an empty message, sealed by the peer to the server. */
static const char sealed_abc[] =
    "000102030405060708090a0b0c0d0e0f10111213141516174636461d564bb96649338b6f1eb5a6120052601426";
static const char sealed_empty[] =
    "000102030405060708090a0b0c0d0e0f10111213141516171e1d9eabf09e877ee78e3eecbf52ab98";

static void keypair(const char *private_b64, struct rk_keypair *out)
{
    uint8_t k[RK_KEY_LEN];

    assert_true(rk_key_parse(rk_str(private_b64), k));
    rk_keypair_from_private(k, out);
}

/* EncryptedMessage{wgPubKey, body} */
static struct rk_str message(const char *key, const char *body_hex, uint8_t *out)
{
    uint8_t body[128];
    size_t n, k = strlen(key);

    assert_true(rk_hex_decode(rk_str(body_hex), body, sizeof(body), &n));
    out[0] = 0x0a;
    out[1] = (uint8_t)k;
    memcpy(out + 2, key, k);
    out[2 + k] = 0x12;
    out[3 + k] = (uint8_t)n;
    memcpy(out + 4 + k, body, n);
    return rk_strn(out, 4 + k + n);
}

static const struct rk_box *known_as(void *arg, const uint8_t key[RK_KEY_LEN])
{
    (void)key;
    return arg;
}

static int
open_it(struct rk_str m, struct rk_arena *arena, struct envelope *env, struct rk_err *err)
{
    struct rk_keypair server;

    keypair(SERVER_PRIVATE, &server);
    return envelope_open(&server, known_as, NULL, m, arena, env, err);
}

static void a_sealed_request_opens_to_its_plaintext_and_sender(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(65536);
    struct envelope env;
    uint8_t buf[512];

    (void)state;
    assert_int_equal(open_it(message(PEER_PUBLIC, sealed_abc, buf), arena, &env, NULL), 0);
    assert_string_equal(env.key_b64, PEER_PUBLIC);
    assert_int_equal(env.plain.n, 5);
    assert_memory_equal(env.plain.p,
                        "\x0a\x03"
                        "abc",
                        5);
    assert_int_equal(open_it(message(PEER_PUBLIC, sealed_empty, buf), arena, &env, NULL), 0);
    assert_int_equal(env.plain.n, 0);
}

static void a_key_that_is_known_is_not_computed(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(65536);
    struct rk_keypair server, nobody;
    struct envelope env;
    struct rk_box box;
    uint8_t buf[512];
    struct rk_str m = message(PEER_PUBLIC, sealed_abc, buf);

    (void)state;
    assert_int_equal(open_it(m, arena, &env, NULL), 0);
    box = env.box;
    rk_keypair_new(&nobody);
    assert_int_equal(envelope_open(&nobody, known_as, &box, m, arena, &env, NULL), 0);
    assert_int_equal(env.plain.n, 5);
    assert_memory_equal(&env.box, &box, sizeof(box));
    box.k[0] ^= 1;
    keypair(SERVER_PRIVATE, &server);
    assert_int_equal(envelope_open(&server, known_as, &box, m, arena, &env, NULL), RK_INVALID);
}

static void every_truncation_and_every_flipped_byte_is_refused(void **state)
{
    uint8_t buf[512], copy[512];
    struct rk_str m;

    (void)state;
    m = message(PEER_PUBLIC, sealed_abc, buf);
    for (size_t i = 0; i < m.n; i++) {
        rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(65536);
        struct envelope env;
        struct rk_err err;

        assert_int_equal(open_it(rk_strn(m.p, i), arena, &env, &err), RK_INVALID);
        memcpy(copy, m.p, m.n);
        if (i >= 48) { /* inside the box */
            copy[i] ^= 1;
            assert_int_equal(open_it(rk_strn(copy, m.n), arena, &env, &err), RK_INVALID);
            assert_string_equal(err.msg, "invalid request message");
        }
    }
}

static void a_key_that_is_no_key_is_named_in_the_error(void **state)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(65536);
    struct envelope env;
    struct rk_err err;
    uint8_t buf[512];

    (void)state;
    assert_int_equal(open_it(message("abc", sealed_abc, buf), arena, &env, &err), RK_INVALID);
    assert_string_equal(err.msg, "provided wgPubKey abc is invalid");
}

static void a_sealed_answer_is_one_grpc_frame_the_peer_can_open(void **state)
{
    static const size_t sizes[] = { 0, 1, 100, 70000 };
    struct rk_keypair server, peer;
    struct rk_box ours, theirs;
    char server_b64[RK_KEY_B64_LEN + 1];

    (void)state;
    keypair(SERVER_PRIVATE, &server);
    keypair(PEER_PRIVATE, &peer);
    rk_key_format(server.public_key, server_b64);
    assert_true(rk_box_init(&ours, &server, peer.public_key));
    assert_true(rk_box_init(&theirs, &peer, server.public_key));
    for (size_t i = 0; i < RK_COUNT(sizes); i++) {
        rk_auto(rk_free) void *plain = calloc(1, sizes[i] + 1);
        rk_auto(rk_free) void *got = calloc(1, sizes[i] + 1);
        rk_auto(rk_bytes_unref) struct rk_bytes *f = NULL;
        size_t len;

        memset(plain, 'x', sizes[i]);
        f = envelope_seal(server_b64, &ours, rk_strn(plain, sizes[i]));
        len = (size_t)f->p[1] << 24 | (size_t)f->p[2] << 16 | (size_t)f->p[3] << 8 | f->p[4];
        assert_int_equal(f->p[0], 0);
        assert_int_equal(f->n, 5 + len);
        assert_memory_equal(f->p + 7, server_b64, RK_KEY_B64_LEN);
        assert_int_equal(rk_box_open(&theirs, f->p + f->n - sizes[i] - RK_BOX_OVERHEAD,
                                     sizes[i] + RK_BOX_OVERHEAD, got),
                         0);
        assert_memory_equal(got, plain, sizes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_request_opens_to_its_plaintext_and_sender),
        cmocka_unit_test(a_key_that_is_known_is_not_computed),
        cmocka_unit_test(every_truncation_and_every_flipped_byte_is_refused),
        cmocka_unit_test(a_key_that_is_no_key_is_named_in_the_error),
        cmocka_unit_test(a_sealed_answer_is_one_grpc_frame_the_peer_can_open),
    };

    rk_crypto_init();
    return RUN_TESTS(tests);
}
