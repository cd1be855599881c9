/* What counts as the same map. */

#include "tests/support/test.h"

#include "libcommon/account/compile/compile.h"
#include "libcommon/account/compile/wire.h"
#include "libcommon/base/buf.h"
#include "services/management/fanout/digest.h"
#include "tests/support/account_rows.h"

static struct digest_key key;

struct map {
    struct rk_buf b;
};

static void map_done(struct map *m)
{
    rk_buf_done(&m->b);
}
RK_DEFINE_AUTO_DONE(struct map, map_done)

/* peerConfig, some fields of the map, the session. */
static void classic(struct map *m, uint64_t serial, const char *fqdn, const char *rule)
{
    size_t at;

    rk_buf_init(&m->b, 4096);
    rk_wire_str(&m->b, 2, rk_str(fqdn));
    rk_wire_bool(&m->b, 4, true);
    at = rk_wire_begin(&m->b, 5);
    rk_wire_uint(&m->b, 1, serial);
    rk_wire_str(&m->b, 2, rk_str(fqdn));
    rk_wire_str(&m->b, 8, rk_str(rule));
    rk_wire_end(&m->b, at);
    at = rk_wire_begin(&m->b, 7);
    rk_wire_end(&m->b, at);
}

static void components(struct map *m, uint64_t serial, const char *net, uint64_t settings)
{
    size_t envelope, full, at;

    rk_buf_init(&m->b, 4096);
    rk_wire_str(&m->b, 2, RK_STR("config"));
    envelope = rk_wire_begin(&m->b, 8);
    full = rk_wire_begin(&m->b, 1);
    rk_wire_uint(&m->b, 1, serial);
    rk_wire_str(&m->b, 2, RK_STR("config"));
    at = rk_wire_begin(&m->b, 3);
    rk_wire_str(&m->b, 1, RK_STR("id"));
    rk_wire_str(&m->b, 2, rk_str(net));
    rk_wire_uint(&m->b, 5, serial);
    rk_wire_end(&m->b, at);
    at = rk_wire_begin(&m->b, 4);
    rk_wire_uint(&m->b, 2, settings);
    rk_wire_end(&m->b, at);
    rk_wire_end(&m->b, full);
    rk_wire_end(&m->b, envelope);
    rk_wire_uint(&m->b, 9, 1);
}

static void digest(const struct map *m, uint8_t out[DIGEST_LEN])
{
    assert_true(digest_map(&key, rk_buf_str(&m->b), out));
}

static void assert_same(const struct map *a, const struct map *b, bool same)
{
    uint8_t x[DIGEST_LEN], y[DIGEST_LEN];

    digest(a, x);
    digest(b, y);
    assert_int_equal(memcmp(x, y, DIGEST_LEN) == 0, same);
}

static void a_classic_map_is_the_same_whatever_its_serial(void **state)
{
    rk_auto(map_done) struct map a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 }, e = { 0 };

    (void)state;
    classic(&a, 7, "a.test", "rule");
    classic(&b, 1234567890123, "a.test", "rule");
    classic(&c, 7, "b.test", "rule");
    classic(&d, 7, "a.test", "");
    classic(&e, 0, "a.test", "rule"); /* zero is not on the wire at all */
    assert_same(&a, &b, true);
    assert_same(&a, &c, false);
    assert_same(&a, &d, false);
    assert_same(&a, &e, true);
}

static void components_are_the_same_whatever_their_serials(void **state)
{
    rk_auto(map_done) struct map a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };

    (void)state;
    components(&a, 7, "100.64.0.0/16", 1);
    components(&b, 70000, "100.64.0.0/16", 1);
    components(&c, 7, "100.65.0.0/16", 1);
    components(&d, 7, "100.64.0.0/16", 2);
    assert_same(&a, &b, true);
    assert_same(&a, &c, false);
    assert_same(&a, &d, false);
}

static void every_byte_but_the_serial_counts(void **state)
{
    rk_auto(map_done) struct map a = { 0 };
    uint8_t was[DIGEST_LEN], now[DIGEST_LEN];
    size_t silent = 0;

    (void)state;
    classic(&a, 7, "a.test", "rule");
    digest(&a, was);
    for (size_t i = 0; i < a.b.n; i++) {
        a.b.p[i] ^= 1;
        if (digest_map(&key, rk_buf_str(&a.b), now) && memcmp(was, now, DIGEST_LEN) == 0)
            silent++;
        a.b.p[i] ^= 1;
    }
    assert_int_equal(silent, 1); /* the serial's value */
}

static void another_key_says_something_else(void **state)
{
    rk_auto(map_done) struct map a = { 0 };
    uint8_t x[DIGEST_LEN], y[DIGEST_LEN];
    struct digest_key other;

    (void)state;
    classic(&a, 7, "a.test", "rule");
    digest_key_new(&other);
    digest(&a, x);
    assert_true(digest_map(&other, rk_buf_str(&a.b), y));
    assert_memory_not_equal(x, y, DIGEST_LEN);
}

static void what_holds_no_map_has_no_digest(void **state)
{
    rk_auto(map_done) struct map a = { 0 };
    uint8_t out[DIGEST_LEN];

    (void)state;
    classic(&a, 7, "a.test", "rule");
    assert_false(digest_map(&key, RK_STR(""), out));
    assert_false(digest_map(&key,
                            RK_STR("\x12\x03"
                                   "abc"),
                            out));
    /* Cut anywhere before the map ends, it is none. */
    for (size_t n = 0; n < a.b.n - 2; n++)
        assert_false(digest_map(&key, rk_strn(a.b.p, n), out));
}

typedef void compile_fn(const struct rk_snapshot *s, size_t i, int64_t now, struct rk_buf *out);

/* What `who` is sent of an account at that serial; the version is the other peer's. */
static void real(struct map *m, compile_fn *compile, uint64_t serial, const char *version)
{
    struct rk_delta *d = rows_full(serial);
    struct rk_group_row *all = rows_group("all", "All");
    struct rk_policy_row *policy = rows_policy("pol");
    struct rk_rule *rule = rows_rule(policy, RK_PROTO_ALL, true);
    struct rk_peer_row *other = rows_peer("other", 2);
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;

    rk_buf_init(&m->b, 1 << 20);
    rows_set(&other->version, version);
    rows_source(rule, "all");
    rows_destination(rule, "all");
    rows_member(all, "who");
    rows_member(all, "other");
    rows_add_account(d, rows_account());
    rows_add_peer(d, rows_peer("who", 1));
    rows_add_peer(d, other);
    rows_add_group(d, all);
    rows_add_policy(d, policy);
    s = rows_apply(NULL, d);
    compile(s, rk_snapshot_find_id(s, RK_STR("who")), INT64_C(1700000000000000), &m->b);
    assert_true(m->b.n > 100);
}

static void what_the_compiler_makes_is_the_same_whatever_its_serial(void **state)
{
    compile_fn *const forms[] = { rk_compile_map, rk_compile_components };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(forms); i++) {
        rk_auto(map_done) struct map a = { 0 }, b = { 0 }, c = { 0 };

        real(&a, forms[i], 5, "0.77.1");
        real(&b, forms[i], 500, "0.77.1");
        real(&c, forms[i], 5, "0.77.0");
        assert_same(&a, &b, true);
        assert_same(&a, &c, false);
    }
}

static int start(void **state)
{
    (void)state;
    digest_key_new(&key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_classic_map_is_the_same_whatever_its_serial),
        cmocka_unit_test(components_are_the_same_whatever_their_serials),
        cmocka_unit_test(what_the_compiler_makes_is_the_same_whatever_its_serial),
        cmocka_unit_test(every_byte_but_the_serial_counts),
        cmocka_unit_test(another_key_says_something_else),
        cmocka_unit_test(what_holds_no_map_has_no_digest),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
