/* One map made: news or not, and what is in its frame. */

#include "tests/support/test.h"

#include "libcommon/account/compile/compile.h"
#include "services/management/fanout/order.h"
#include "tests/support/account_rows.h"

struct kit {
    struct digest_key key;
    struct rk_keypair server;
    struct rk_box box;
    struct rk_buf scratch;
};

static void kit_init(struct kit *k)
{
    struct rk_keypair agent;

    digest_key_new(&k->key);
    rk_keypair_new(&k->server);
    rk_keypair_new(&agent);
    assert_true(rk_box_init(&k->box, &k->server, agent.public_key));
    rk_buf_init(&k->scratch, ORDER_BYTES_MAX);
}

static void kit_done(struct kit *k)
{
    rk_buf_done(&k->scratch);
}
RK_DEFINE_AUTO_DONE(struct kit, kit_done)

static struct rk_snapshot *account(uint64_t serial, const char *label)
{
    struct rk_delta *d = rows_full(serial);
    struct rk_peer_row *p = rows_peer("who", 1);

    rows_set(&p->dns_label, label);
    rows_add_account(d, rows_account());
    rows_add_peer(d, p);
    return rows_apply(NULL, d);
}

static void
make(struct kit *k, struct order *o, uint64_t serial, const char *label, const char *cfg)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = account(serial, label);
    char server[RK_KEY_B64_LEN + 1];
    struct order_terms t = { .snap = s, .digest_key = &k->key, .server_key_b64 = server };

    rk_key_format(k->server.public_key, server);
    o->box = k->box;
    rk_buf_init(&o->config, 64);
    rk_buf_put_c(&o->config, cfg);
    order_make(o, &t, &k->scratch);
}

/* The frame's box, opened. */
static void open_frame(const struct kit *k, const struct order *o, struct rk_buf *plain)
{
    size_t n = o->bytes + RK_BOX_OVERHEAD;
    uint8_t *at;

    rk_buf_init(plain, ORDER_BYTES_MAX);
    assert_true(o->frame->n > n);
    at = rk_buf_reserve(plain, o->bytes);
    assert_int_equal(rk_box_open(&k->box, o->frame->p + o->frame->n - n, n, at), 0);
    rk_buf_commit(plain, o->bytes);
}

static void what_is_news_comes_sealed_and_the_same_again_does_not(void **state)
{
    rk_auto(kit_done) struct kit k;
    rk_auto(order_done) struct order first = { 0 }, again = { 0 }, other = { 0 };

    (void)state;
    kit_init(&k);
    make(&k, &first, 1, "a", "");
    assert_int_equal(first.state, ORDER_NEWS);
    assert_non_null(first.frame);
    assert_true(first.has_digest);

    again.has_digest = true;
    memcpy(again.digest, first.digest, DIGEST_LEN);
    other = again;
    make(&k, &again, 2, "a", "");
    assert_int_equal(again.state, ORDER_SAME);
    assert_null(again.frame);
    make(&k, &other, 2, "b", "");
    assert_int_equal(other.state, ORDER_NEWS);
    assert_memory_not_equal(other.digest, first.digest, DIGEST_LEN);
}

static void its_frame_holds_the_map_and_before_it_the_configuration(void **state)
{
    static const char cfg[] = "\x0a\x02\x32"; /* and a NUL: netbirdConfig { metrics {} } */
    rk_auto(kit_done) struct kit k;
    rk_auto(order_done) struct order bare = { 0 }, full = { 0 };
    rk_auto(rk_buf_done) struct rk_buf map, both;

    (void)state;
    kit_init(&k);
    make(&k, &bare, 1, "a", "");
    full.has_digest = true;
    memcpy(full.digest, bare.digest, DIGEST_LEN);
    make(&k, &full, 1, "a", cfg); /* so it is sent, though it is no news */
    assert_int_equal(full.state, ORDER_NEWS);
    open_frame(&k, &bare, &map);
    open_frame(&k, &full, &both);
    assert_int_equal(both.n, strlen(cfg) + map.n);
    assert_memory_equal(both.p, cfg, strlen(cfg));
    assert_memory_equal(both.p + strlen(cfg), map.p, map.n);
    assert_memory_equal(full.digest, bare.digest, DIGEST_LEN); /* which is of the map alone */
}

static void a_map_over_the_bound_is_not_sent(void **state)
{
    rk_auto(kit_done) struct kit k;
    rk_auto(order_done) struct order o = { 0 };

    (void)state;
    kit_init(&k);
    k.scratch.max = 64;
    make(&k, &o, 1, "a", "");
    assert_int_equal(o.state, ORDER_TOO_BIG);
    assert_null(o.frame);
    assert_false(o.has_digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_news_comes_sealed_and_the_same_again_does_not),
        cmocka_unit_test(its_frame_holds_the_map_and_before_it_the_configuration),
        cmocka_unit_test(a_map_over_the_bound_is_not_sent),
    };

    rk_crypto_init();
    return RUN_TESTS(tests);
}
