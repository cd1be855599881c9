/* Maps that are right, and each way in which one can be wrong. */

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/account/compile/wire.h"
#include "tests/bench/fleet/map.h"

#define AGENTS 10

/* A group of agents 2 to 5; the map is agent 3's. */
struct world {
    struct identity id;
    map_key keys[AGENTS];
    uint32_t seen[AGENTS];
    struct map_scope scope;
    struct rk_buf buf;
};

static void world_init(struct world *w)
{
    rk_crypto_init();
    memset(w, 0, sizeof(*w));
    identity_new(&w->id);
    for (uint32_t i = 0; i < AGENTS; i++) {
        struct rk_keypair pair;

        identity_keypair(&w->id, i, &pair);
        memcpy(w->keys[i], pair.public_key, sizeof(map_key));
    }
    w->scope = (struct map_scope){ .id = &w->id,
                                   .keys = (const map_key *)w->keys,
                                   .agents = AGENTS,
                                   .first = 2,
                                   .end = 6,
                                   .self = 3,
                                   .policy = "thepolicy",
                                   .rule = "therule",
                                   .seen = w->seen };
    rk_buf_init(&w->buf, 1 << 16);
}

static void put_peer(struct world *w, uint32_t number, uint32_t key, const char *suffix)
{
    char name[IDENTITY_NAME], fqdn[96], text[RK_KEY_B64_LEN + 1];
    size_t at = rk_wire_begin(&w->buf, 3);

    identity_name(&w->id, number, name);
    (void)snprintf(fqdn, sizeof(fqdn), "%s%s", name, suffix);
    rk_key_format(w->keys[key], text);
    rk_wire_str(&w->buf, 1, rk_str(text));
    rk_wire_str(&w->buf, 4, rk_str(fqdn));
    rk_wire_end(&w->buf, at);
}

static void put_rule(struct world *w, const char *id, const char *port)
{
    size_t at = rk_wire_begin(&w->buf, 8);

    rk_wire_str(&w->buf, 5, rk_str(port));
    rk_wire_str(&w->buf, 7, rk_str(id));
    rk_wire_end(&w->buf, at);
}

static void put_zone(struct world *w, const char *first, const char *second)
{
    size_t dns = rk_wire_begin(&w->buf, 6), zone = rk_wire_begin(&w->buf, 3);

    rk_wire_str(&w->buf, 1, RK_STR("mesh."));
    rk_wire_str(&w->buf, 2, rk_str(first));
    rk_wire_str(&w->buf, 2, rk_str(second));
    rk_wire_end(&w->buf, zone);
    rk_wire_end(&w->buf, dns);
}

/* A SyncResponse around what has been put since. */
static bool read_it(struct world *w, struct map_facts *facts, enum fault *fault)
{
    struct rk_buf whole;
    struct rk_err err = { 0 };
    bool good;

    rk_buf_init(&whole, 1 << 16);
    rk_wire_bytes_always(&whole, 5, rk_buf_str(&w->buf));
    good = map_read(&w->scope, rk_buf_str(&whole), facts, fault, &err);
    assert_int_equal(good, err.code == 0);
    rk_buf_done(&whole);
    rk_buf_clear(&w->buf);
    return good;
}

static void a_map_is_understood(void **state)
{
    struct world w;
    struct map_facts facts;
    enum fault fault;

    (void)state;
    world_init(&w);
    rk_wire_uint(&w.buf, 1, 77);
    put_peer(&w, 2, 2, ".netbird.selfhosted");
    put_peer(&w, 5, 5, "-12-3.netbird.selfhosted");
    put_rule(&w, "another", "2009");
    put_rule(&w, "therule", "2004");
    assert_true(read_it(&w, &facts, &fault));
    assert_true(facts.is_map);
    assert_false(facts.components);
    assert_int_equal(facts.serial, 77);
    assert_int_equal(facts.members, 2);
    assert_int_equal(facts.strangers, 0);
    assert_true(facts.has_change);
    assert_int_equal(facts.change, 4);
    rk_buf_done(&w.buf);
}

static void wrong_maps_are_noticed(void **state)
{
    struct world w;
    struct map_facts facts;
    enum fault fault = FAULTS;

    (void)state;
    world_init(&w);
    put_peer(&w, 6, 6, "");
    assert_false(read_it(&w, &facts, &fault));
    assert_int_equal(fault, FAULT_STRANGER);
    put_peer(&w, 3, 3, "");
    assert_false(read_it(&w, &facts, &fault));
    assert_int_equal(fault, FAULT_STRANGER);
    put_peer(&w, 4, 4, "");
    put_peer(&w, 4, 4, "");
    assert_false(read_it(&w, &facts, &fault));
    assert_int_equal(fault, FAULT_TWICE);
    put_peer(&w, 4, 5, "");
    assert_false(read_it(&w, &facts, &fault));
    assert_int_equal(fault, FAULT_KEY);
    rk_buf_put_c(&w.buf, "\x1a\x7f");
    assert_false(read_it(&w, &facts, &fault));
    assert_int_equal(fault, FAULT_UNREADABLE);
    rk_buf_done(&w.buf);
}

static void others_than_the_fleets_are_let_be(void **state)
{
    struct world w;
    struct map_facts facts;
    enum fault fault;
    size_t at;

    (void)state;
    world_init(&w);
    at = rk_wire_begin(&w.buf, 3);
    rk_wire_str(&w.buf, 4, RK_STR("printer.netbird.selfhosted"));
    rk_wire_end(&w.buf, at);
    assert_true(read_it(&w, &facts, &fault));
    assert_int_equal(facts.strangers, 1);
    assert_int_equal(facts.members, 0);
    assert_false(facts.has_change);
    rk_buf_done(&w.buf);
}

static void order_makes_no_difference_and_content_does(void **state)
{
    struct world w;
    struct map_facts one, other, third, fourth;
    enum fault fault;

    (void)state;
    world_init(&w);
    rk_wire_uint(&w.buf, 1, 1);
    put_peer(&w, 2, 2, "");
    put_peer(&w, 5, 5, "");
    put_zone(&w, "a", "b");
    assert_true(read_it(&w, &one, &fault));
    rk_wire_uint(&w.buf, 1, 2);
    put_zone(&w, "b", "a");
    put_peer(&w, 5, 5, "");
    put_peer(&w, 2, 2, "");
    assert_true(read_it(&w, &other, &fault));
    assert_int_equal(one.digest, other.digest);
    put_peer(&w, 2, 2, "");
    put_peer(&w, 5, 5, ".x");
    put_zone(&w, "a", "b");
    assert_true(read_it(&w, &third, &fault));
    assert_int_not_equal(one.digest, third.digest);
    put_peer(&w, 2, 2, "");
    put_peer(&w, 5, 5, "");
    put_zone(&w, "a", "c");
    assert_true(read_it(&w, &fourth, &fault));
    assert_int_not_equal(one.digest, fourth.digest);
    rk_buf_done(&w.buf);
}

static void components_are_understood(void **state)
{
    struct world w;
    struct map_facts facts;
    enum fault fault;
    struct rk_buf whole;
    struct rk_err err = { 0 };
    size_t envelope, full, at;

    (void)state;
    world_init(&w);
    rk_buf_init(&whole, 1 << 16);
    envelope = rk_wire_begin(&whole, 8);
    full = rk_wire_begin(&whole, 1);
    rk_wire_uint(&whole, 1, 9);
    for (uint32_t i = 3; i < 6; i++) {
        char name[IDENTITY_NAME];

        identity_name(&w.id, i, name);
        at = rk_wire_begin(&whole, 9);
        rk_wire_str(&whole, 1, rk_strn(w.keys[i], RK_KEY_LEN));
        rk_wire_str(&whole, 5, rk_str(name));
        rk_wire_end(&whole, at);
    }
    at = rk_wire_begin(&whole, 11);
    rk_wire_str(&whole, 1, RK_STR("thepolicy"));
    rk_wire_str(&whole, 5, RK_STR("\xd3\x0f")); /* 2003, packed */
    rk_wire_end(&whole, at);
    rk_wire_end(&whole, full);
    rk_wire_end(&whole, envelope);
    assert_true(map_read(&w.scope, rk_buf_str(&whole), &facts, &fault, &err));
    assert_true(facts.is_map && facts.components);
    assert_int_equal(facts.serial, 9);
    assert_int_equal(facts.members, 2);
    assert_int_equal(facts.change, 3);
    w.scope.self = 2; /* then agent 3 is another, and 2 is not in it */
    assert_true(map_read(&w.scope, rk_buf_str(&whole), &facts, &fault, &err));
    assert_int_equal(facts.members, 3);
    w.scope.end = 5;
    assert_false(map_read(&w.scope, rk_buf_str(&whole), &facts, &fault, &err));
    assert_int_equal(fault, FAULT_STRANGER);
    rk_buf_done(&whole);
    rk_buf_done(&w.buf);
}

static void settings_alone_are_no_map(void **state)
{
    struct world w;
    struct map_facts facts;
    struct rk_err err = { 0 };
    enum fault fault;

    (void)state;
    world_init(&w);
    assert_true(map_read(&w.scope, RK_STR("\x0a\x02\x12\x00"), &facts, &fault, &err));
    assert_false(facts.is_map);
    assert_int_equal(facts.config.n, 2);
    assert_memory_equal(facts.config.p, "\x12\x00", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_is_understood),
        cmocka_unit_test(wrong_maps_are_noticed),
        cmocka_unit_test(others_than_the_fleets_are_let_be),
        cmocka_unit_test(order_makes_no_difference_and_content_does),
        cmocka_unit_test(components_are_understood),
        cmocka_unit_test(settings_alone_are_no_map),
    };

    return RUN_TESTS(tests);
}
