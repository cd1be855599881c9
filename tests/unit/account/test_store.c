/* The store's rules against a real server: first account, registration, presence, deletion,
 * loading, and nothing half done. */

#include "tests/support/test.h"

#include <arpa/inet.h>
#include <pthread.h>

#include "libcommon/account/rules/account_create.h"
#include "libcommon/account/peer/due.h"
#include "libcommon/account/peer/peers.h"
#include "libcommon/account/store/store.h"
#include "libcommon/account/store/int.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "libcommon/pg/pg_int.h"
#include "tests/support/pg_ask.h"

static struct fixture fx;
static struct rk_account_created acc;
static const char key_text[] = "A2C8E62B-38F5-4553-B31E-DD66C696CEBB";
static const char invalid[] = "couldn't add peer: setup key is invalid";

static struct rk_pg *connect_pg(void)
{
    return rk_pg_new(fx.conninfo, "test");
}

static int start(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = NULL;
    struct rk_err err = { 0 };

    (void)state;
    rk_crypto_init();
    if (!fixture_postgres(&fx))
        return -1;
    pg = connect_pg();
    if (rk_store_migrate(pg, &err) < 0) {
        print_error("%s\n", err.msg);
        return -1;
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fixture_done(&fx);
    return 0;
}

/* === Helpers === */

static struct rk_peer_meta meta_of(const char *hostname)
{
    return (struct rk_peer_meta){ .hostname = hostname,
                                  .goos = "linux",
                                  .kernel = "Linux",
                                  .core = "12",
                                  .platform = "x86_64",
                                  .os = "Debian",
                                  .version = "0.77.1",
                                  .ui_version = "",
                                  .kernel_version = "6.1",
                                  .os_version = "12",
                                  .serial_number = "",
                                  .product_name = "",
                                  .manufacturer = "",
                                  .cloud = "",
                                  .cloud_platform = "",
                                  .capabilities = RK_CAP_SOURCE_PREFIXES | RK_CAP_IPV6,
                                  .sync_message_version = 1 };
}

static int register_peer(struct rk_pg *pg,
                         const char *hostname,
                         uint8_t out_key[RK_KEY_LEN],
                         struct rk_bell *bell,
                         struct rk_err *err)
{
    struct rk_peer_meta meta = meta_of(hostname);
    struct rk_peer_registration reg = { .setup_key = key_text,
                                        .meta = &meta,
                                        .ssh_key = "ssh-ed25519 AAAA",
                                        .connection_ip = "192.0.2.1",
                                        .default_domain = "d.test" };
    struct rk_keypair pair;

    rk_keypair_new(&pair);
    memcpy(reg.key, pair.public_key, RK_KEY_LEN);
    if (out_key)
        memcpy(out_key, pair.public_key, RK_KEY_LEN);
    return rk_peer_register(pg, &reg, bell, err);
}

/* One account, one key with this limit, no peers. */
static void fresh(struct rk_pg *pg, unsigned limit)
{
    const struct rk_account_setup in = { .domain = "netbird.selfhosted",
                                         .email = "a@example.com",
                                         .name = "A",
                                         .password_hash = "x",
                                         .pat_name = "setup-token",
                                         .pat_hash = "hash",
                                         .pat_expires_us = 4102444800000000 };
    struct rk_err err = { 0 };
    char hash[45], sql[512];

    pg_must(pg, "DELETE FROM account");
    if (rk_account_setup(pg, &in, &acc, &err) < 0)
        fail_msg("%s", err.msg);
    rk_sha256_b64(rk_str(key_text), hash);
    snprintf(sql, sizeof(sql),
             "INSERT INTO setup_key (id, account_id, name, hash, masked, type, usage_limit) "
             "VALUES ('k1', '%s', 'key', '%s', 'A2C8E****', 'reusable', %u)",
             acc.account_id, hash, limit);
    pg_must(pg, sql);
}

static struct rk_delta *load(struct rk_pg *pg, uint64_t since)
{
    struct rk_delta *d = NULL;
    struct rk_err err = { 0 };

    if (rk_store_load(pg, acc.account_id, since, "default.test", &d, &err) < 0)
        fail_msg("%s", err.msg);
    return d;
}

static size_t count_kind(const struct rk_delta *d, enum rk_object_kind kind)
{
    size_t i, n = 0;

    for (i = 0; i < d->n; i++)
        n += d->items[i].kind == kind;
    return n;
}

static const struct rk_delta_item *item(const struct rk_delta *d, enum rk_object_kind kind)
{
    size_t i;

    for (i = 0; i < d->n; i++) {
        if (d->items[i].kind == kind)
            return &d->items[i];
    }
    fail_msg("no item of kind %d", kind);
    return NULL;
}

/* === The first account === */

static void setup_makes_one_account_with_its_defaults(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    const struct rk_account_setup in = { "d.test", "b@example.com", "B", "x", NULL, NULL, 0 };
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    struct rk_account_created other;
    struct rk_err err = { 0 };
    const struct rk_account_row *a;
    const struct rk_policy_row *p;
    bool any = false;

    (void)state;
    fresh(pg, 0);
    assert_int_equal(rk_account_any(pg, &any, &err), 0);
    assert_true(any);
    assert_int_equal(rk_account_setup(pg, &in, &other, &err), RK_PRECONDITION);
    assert_string_equal(err.msg, "setup already completed");
    d = load(pg, 0);
    assert_true(d->full);
    a = item(d, RK_OBJ_ACCOUNT)->row.account;
    assert_int_equal(a->net4[0], 100);
    assert_in_range(a->net4[1], 64, 127);
    assert_int_equal(a->net4_bits, 16);
    assert_true(a->has_net6);
    assert_int_equal(a->net6[0], 0xfd);
    assert_int_equal(a->net6_bits, 64);
    assert_string_equal(a->dns_domain, "default.test");
    assert_string_equal(a->auto_update_version, "disabled");
    assert_true(a->peer_login_expiration_enabled && a->lazy_connection_enabled &&
                a->routing_peer_dns_resolution_enabled);
    assert_int_equal(a->peer_login_expiration_s, 86400);
    assert_true(item(d, RK_OBJ_GROUP)->row.group->is_all);
    p = item(d, RK_OBJ_POLICY)->row.policy;
    assert_true(p->enabled);
    assert_int_equal(p->rules_n, 1);
    assert_true(p->rules[0].bidirectional && p->rules[0].enabled);
    assert_int_equal(p->rules[0].protocol, RK_PROTO_ALL);
    assert_string_equal(p->rules[0].sources[0], item(d, RK_OBJ_GROUP)->id);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event"), 3);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM pat"), 1);
}

static void *race_setup(void *arg)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    const struct rk_account_setup in = { "d.test", "c@example.com", "C", "x", NULL, NULL, 0 };
    struct rk_account_created out;

    *(int *)arg = rk_account_setup(pg, &in, &out, NULL);
    return NULL;
}

static void of_two_setups_one_wins(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    int round;

    (void)state;
    for (round = 0; round < 20; round++) {
        pthread_t t[2];
        int r[2], i;

        pg_must(pg, "DELETE FROM account");
        for (i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&t[i], NULL, race_setup, &r[i]), 0);
        for (i = 0; i < 2; i++)
            pthread_join(t[i], NULL);
        assert_int_equal(r[0] + r[1], RK_PRECONDITION);
        assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM account"), 1);
    }
}

/* === Registration === */

static void a_peer_gets_address_label_groups_and_the_event(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    char account[RK_XID_LEN + 1], b64[RK_KEY_B64_LEN + 1];
    const struct rk_peer_row *p;
    struct rk_peer_meta meta = meta_of("John's PC.local");
    struct rk_err err = { 0 };
    struct rk_bell bell;
    uint64_t serial = 0;
    uint8_t key[RK_KEY_LEN], hash[16];

    (void)state;
    fresh(pg, 0);
    assert_int_equal(register_peer(pg, "John's PC.local", key, &bell, &err), 0);
    assert_int_equal(bell.serial, 1);
    assert_string_equal(bell.account_id, acc.account_id);
    rk_key_format(key, b64);
    assert_int_equal(rk_store_find_peer(pg, b64, account, &serial, &err), 0);
    assert_int_equal(serial, 1);
    d = load(pg, 0);
    assert_int_equal(d->serial, 1);
    p = item(d, RK_OBJ_PEER)->row.peer_row;
    assert_string_equal(p->dns_label, "john-s-pc");
    assert_string_equal(p->version, "0.77.1");
    assert_string_equal(p->ssh_key, "ssh-ed25519 AAAA");
    assert_int_equal(p->capabilities, RK_CAP_SOURCE_PREFIXES | RK_CAP_IPV6);
    assert_int_equal(p->sync_message_version, 1);
    assert_true(p->has_ip6);
    assert_memory_equal(p->key, key, RK_KEY_LEN);
    rk_meta_hash(&meta, hash);
    assert_memory_equal(p->meta_hash, hash, 16);
    assert_int_equal(item(d, RK_OBJ_GROUP)->row.group->members_n, 1);
    assert_int_equal(
        pg_ask(
            &fx,
            "SELECT count(*) FROM event WHERE code = 'peer.setupkey.add' AND initiator_id = 'k1' "
            "AND meta->>'setup_key_name' = 'key' AND meta ? 'ipv6'"),
        1);
    assert_int_equal(pg_ask(&fx, "SELECT used_times FROM setup_key"), 1);
}

static void bad_keys_are_refused_with_the_known_text(void **state)
{
    static const char *const spoil[] = {
        "UPDATE setup_key SET revoked = true",
        "UPDATE setup_key SET expires_at = now() - interval '1 second'",
        "UPDATE setup_key SET usage_limit = 1, used_times = 1", "DELETE FROM setup_key"
    };
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    struct rk_err err = { 0 };
    struct rk_bell bell;
    size_t i;

    (void)state;
    for (i = 0; i < RK_COUNT(spoil); i++) {
        fresh(pg, 0);
        pg_must(pg, spoil[i]);
        assert_int_equal(register_peer(pg, "h", NULL, &bell, &err), RK_INVALID);
        assert_string_equal(err.msg, invalid);
    }
    fresh(pg, 0);
    assert_int_equal(register_peer(pg, "", NULL, &bell, &err), RK_INTERNAL);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer"), 0);
    assert_int_equal(pg_ask(&fx, "SELECT used_times FROM setup_key"), 0);
}

struct racer {
    pthread_barrier_t *gate;
    int r;
    char msg[512];
};

static void *race_key(void *arg)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    struct racer *me = arg;
    int round;

    for (round = 0; round < 200; round++) {
        struct rk_err err = { 0 };
        struct rk_bell bell;

        pthread_barrier_wait(me->gate);
        me->r = register_peer(pg, "race", NULL, &bell, &err);
        memcpy(me->msg, err.msg, sizeof(me->msg));
        pthread_barrier_wait(me->gate);
    }
    return NULL;
}

static void of_two_peers_racing_for_the_last_use_one_wins(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    pthread_barrier_t gate;
    struct racer racer[2];
    pthread_t t[2];
    int round, i;

    (void)state;
    fresh(pg, 200);
    pg_must(pg, "UPDATE setup_key SET used_times = 199");
    pthread_barrier_init(&gate, NULL, 3);
    for (i = 0; i < 2; i++) {
        racer[i].gate = &gate;
        assert_int_equal(pthread_create(&t[i], NULL, race_key, &racer[i]), 0);
    }
    for (round = 0; round < 200; round++) {
        pthread_barrier_wait(&gate);
        pthread_barrier_wait(&gate);
        if (racer[0].r + racer[1].r != RK_INVALID)
            fail_msg("round %d: %d (%s) and %d (%s)", round, racer[0].r, racer[0].msg, racer[1].r,
                     racer[1].msg);
        assert_string_equal(racer[racer[0].r < 0 ? 0 : 1].msg, invalid);
        pg_must(pg, "UPDATE setup_key SET used_times = 199");
    }
    for (i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    pthread_barrier_destroy(&gate);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer"), 200);
}

static void the_same_key_pair_twice_is_refused_and_spends_nothing(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    struct rk_peer_meta meta = meta_of("twice");
    struct rk_peer_registration reg = {
        .setup_key = key_text, .meta = &meta, .ssh_key = "", .connection_ip = ""
    };
    struct rk_err err = { 0 };
    struct rk_bell bell;

    (void)state;
    fresh(pg, 0);
    memset(reg.key, 7, sizeof(reg.key));
    assert_int_equal(rk_peer_register(pg, &reg, &bell, &err), 0);
    assert_int_equal(rk_peer_register(pg, &reg, &bell, &err), RK_PRECONDITION);
    assert_string_equal(err.msg, "peer has been already registered");
    assert_int_equal(pg_ask(&fx, "SELECT used_times FROM setup_key"), 1);
}

static void names_that_collide_get_the_address_behind_them(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    struct rk_err err = { 0 };
    struct rk_bell bell;

    (void)state;
    fresh(pg, 0);
    assert_int_equal(register_peer(pg, "web", NULL, &bell, &err), 0);
    assert_int_equal(register_peer(pg, "web", NULL, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer WHERE dns_label = 'web'"), 1);
    assert_int_equal(
        pg_ask(&fx,
               "SELECT count(*) FROM peer WHERE dns_label = "
               "'web-' || split_part(host(ip), '.', 3) || '-' || split_part(host(ip), '.', 4)"),
        1);
    pg_must(pg, "UPDATE setup_key SET ephemeral = true");
    assert_int_equal(register_peer(pg, "db", NULL, &bell, &err), 0);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM peer WHERE ephemeral AND dns_label LIKE 'db-%-%'"), 1);
}

static void a_small_network_is_filled_to_the_last_address(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    struct rk_err err = { 0 };
    struct rk_bell bell;
    int i;

    (void)state;
    fresh(pg, 0);
    pg_must(pg, "UPDATE account SET net4 = '100.64.9.0/28'");
    for (i = 0; i < 13; i++) /* 16 less network, broadcast and the agents' own */
        assert_int_equal(register_peer(pg, "n", NULL, &bell, &err), 0);
    assert_int_equal(register_peer(pg, "n", NULL, &bell, &err), RK_INTERNAL);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer WHERE ip = '100.64.9.14'"), 0);
    assert_int_equal(pg_ask(&fx, "SELECT used_times FROM setup_key"), 13);
}

static void extra_labels_need_the_keys_permission(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    struct rk_peer_meta meta = meta_of("x");
    const struct rk_str labels[] = { RK_STR("Api"), RK_STR("*.apps") };
    struct rk_peer_registration reg = { .setup_key = key_text,
                                        .meta = &meta,
                                        .ssh_key = "",
                                        .connection_ip = "",
                                        .dns_labels = labels,
                                        .dns_labels_n = 2 };
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    struct rk_err err = { 0 };
    struct rk_bell bell;

    (void)state;
    fresh(pg, 0);
    assert_int_equal(rk_peer_register(pg, &reg, &bell, &err), RK_PRECONDITION);
    assert_string_equal(err.msg, "couldn't add peer: setup key doesn't allow extra DNS labels");
    pg_must(pg, "UPDATE setup_key SET allow_extra_dns_labels = true");
    assert_int_equal(rk_peer_register(pg, &reg, &bell, &err), 0);
    d = load(pg, 0);
    assert_int_equal(item(d, RK_OBJ_PEER)->row.peer_row->extra_dns_labels_n, 2);
    assert_string_equal(item(d, RK_OBJ_PEER)->row.peer_row->extra_dns_labels[0], "Api");
}

static void labels_follow_the_rules(void **state)
{
    static const struct {
        const char *host, *label;
    } rows[] = {
        { "MacBook-Pro.local", "macbook-pro" },
        { "John's PC", "john-s-pc" },
        { "a__b", "a-b" },
        { "-x-", "-x-" },
        { "b\xc3\xbc"
          "cher",
          "xn--bcher-kva" },
        { "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", "xn--b1agh1afp" },
        { "\xff\xfe", "-" },
    };
    char out[RK_LABEL_MAX], extra[PEER_EXTRA_LABEL_MAX], long_name[300];
    const uint8_t ip[4] = { 100, 64, 255, 254 };
    size_t i;

    (void)state;
    for (i = 0; i < RK_COUNT(rows); i++) {
        assert_true(rk_dns_label(rk_str(rows[i].host), out));
        assert_string_equal(out, rows[i].label);
    }
    assert_false(rk_dns_label(rk_str(""), out));
    assert_false(rk_dns_label(rk_str(".local"), out));
    memset(long_name, 'a', sizeof(long_name));
    assert_true(rk_dns_label(rk_strn(long_name, sizeof(long_name)), out));
    assert_int_equal(strlen(out), 59);
    memcpy(long_name, out, 60);
    peer_label_for(long_name, true, ip, out);
    assert_int_equal(strlen(out), 63);
    assert_string_equal(out + 55, "-255-254");
    assert_true(peer_extra_label(RK_STR("*.A_b.c"), extra));
    assert_string_equal(extra, "*.A_b.c"); /* names are the same in any case */
    assert_true(peer_extra_label(RK_STR("_srv.x"), extra));
    assert_false(peer_extra_label(RK_STR("_srv"), extra));
    assert_false(peer_extra_label(RK_STR(""), extra));
    assert_false(peer_extra_label(RK_STR("*."), extra));
    assert_false(peer_extra_label(RK_STR("a..b"), extra));
    assert_false(peer_extra_label(RK_STR("a."), extra));
    assert_false(peer_extra_label(RK_STR("-a"), extra));
    assert_false(peer_extra_label(RK_STR("a b"), extra));
}

/* === Nothing half done === */

static void a_failure_at_any_step_leaves_nothing(void **state)
{
    static const int codes[] = { RK_INTERNAL, RK_UNAVAILABLE };
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    struct rk_err err = { 0 };
    struct rk_bell bell;
    size_t c;

    (void)state;
    for (c = 0; c < RK_COUNT(codes); c++) {
        unsigned k;
        int r = -1;

        fresh(pg, 0);
        for (k = 1; r < 0; k++) {
            assert_true(k < 40);
            rk_pg_fail_at(pg, k, codes[c]);
            r = register_peer(pg, "k", NULL, &bell, &err);
            rk_pg_fail_at(pg, 0, 0);
            if (r == 0)
                break;
            assert_int_equal(r, codes[c]);
            assert_int_equal(
                pg_ask(
                    &fx,
                    "SELECT (SELECT count(*) FROM peer) + (SELECT count(*) FROM group_peer) + "
                    "(SELECT count(*) FROM account_change) + (SELECT sum(serial) FROM account) + "
                    "(SELECT sum(used_times) FROM setup_key) + (SELECT count(*) FROM event "
                    "WHERE code LIKE 'peer.%')"),
                0);
        }
        assert_true(k > 8);
    }
}

static void a_failed_read_yields_no_delta(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    struct rk_err err = { 0 };
    struct rk_bell bell;
    uint64_t since;

    (void)state;
    fresh(pg, 0);
    assert_int_equal(register_peer(pg, "k", NULL, &bell, &err), 0);
    assert_int_equal(register_peer(pg, "l", NULL, &bell, &err), 0);
    for (since = 0; since < 2; since++) {
        unsigned k;

        for (k = 1; k < 20; k++) {
            struct rk_delta *d = NULL;
            int r;

            rk_pg_fail_at(pg, k, k % 2 ? RK_INTERNAL : RK_UNAVAILABLE);
            r = rk_store_load(pg, acc.account_id, since, "", &d, &err);
            rk_pg_fail_at(pg, 0, 0);
            if (r == 0) {
                rk_delta_free(d);
                break;
            }
            assert_null(d);
        }
        assert_in_range(k, 5, 19);
    }
}

/* === Changes, presence, deletion === */

static void metadata_changes_once_and_an_empty_ui_version_keeps_the_old(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    struct rk_peer_meta meta = meta_of("m"), empty = { 0 };
    struct rk_err err = { 0 };
    struct rk_bell bell;
    char id[RK_XID_LEN + 1];

    (void)state;
    fresh(pg, 0);
    assert_int_equal(register_peer(pg, "m", NULL, &bell, &err), 0);
    d = load(pg, 0);
    memcpy(id, item(d, RK_OBJ_PEER)->id, sizeof(id));
    assert_int_equal(rk_peer_update_meta(pg, acc.account_id, id, &meta, &bell, &err), 0);
    assert_int_equal(bell.serial, 0);
    meta.version = "0.78.0";
    meta.ui_version = "ui/1";
    assert_int_equal(rk_peer_update_meta(pg, acc.account_id, id, &meta, &bell, &err), 0);
    assert_int_equal(bell.serial, 2);
    meta.ui_version = "";
    meta.flags = RK_META_FLAG_DISABLE_IPV6;
    assert_int_equal(rk_peer_update_meta(pg, acc.account_id, id, &meta, &bell, &err), 0);
    assert_int_equal(bell.serial, 3);
    assert_int_equal(
        pg_ask(&fx,
               "SELECT count(*) FROM peer WHERE meta->>'uiVersion' = 'ui/1' AND "
               "meta->>'netbirdVersion' = '0.78.0' AND (meta->'flags'->>'disableIPv6')::boolean"),
        1);
    empty = meta_of("");
    empty.goos = empty.kernel = empty.core = empty.platform = empty.os = empty.version =
        empty.kernel_version = empty.os_version = "";
    assert_int_equal(rk_peer_update_meta(pg, acc.account_id, id, &empty, &bell, &err), 0);
    assert_int_equal(bell.serial, 0);
    assert_int_equal(rk_peer_update_meta(pg, acc.account_id, "nobody", &meta, &bell, &err),
                     RK_NOT_FOUND);
    assert_int_equal(rk_peer_update_ssh_key(pg, acc.account_id, id, "", &bell, &err), 0);
    assert_int_equal(bell.serial, 4);
}

static void the_newer_session_wins(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    struct rk_peer_presence row = {
        .connected = true, .session = 100, .replica = "m1", .connection_ip = "198.51.100.7"
    };
    struct rk_peer_presence pair[2];
    struct rk_err err = { 0 };
    struct rk_bell bell;
    bool old[2] = { true, true };

    (void)state;
    fresh(pg, 0);
    assert_int_equal(register_peer(pg, "p", NULL, &bell, &err), 0);
    d = load(pg, 0);
    memcpy(row.peer_id, item(d, RK_OBJ_PEER)->id, sizeof(row.peer_id));
    assert_int_equal(rk_peer_store_presence(pg, &row, 1, RK_EPHEMERAL_LIFE_S, old, &err), 0);
    assert_false(old[0]);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM peer_status WHERE connected AND session = 100"), 1);
    row.session = 50; /* an older stream elsewhere */
    assert_int_equal(rk_peer_store_presence(pg, &row, 1, RK_EPHEMERAL_LIFE_S, old, &err), 0);
    assert_true(old[0]);
    row.connected = false; /* its end changes nothing */
    assert_int_equal(rk_peer_store_presence(pg, &row, 1, RK_EPHEMERAL_LIFE_S, old, &err), 0);
    assert_false(old[0]);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM peer_status WHERE connected AND session = 100"), 1);
    pair[0] = pair[1] = row; /* beginning and end in one batch */
    pair[0].connected = true;
    pair[0].session = pair[1].session = 200;
    assert_int_equal(rk_peer_store_presence(pg, pair, 2, RK_EPHEMERAL_LIFE_S, old, &err), 0);
    assert_false(old[0] || old[1]);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM peer_status WHERE NOT connected AND session = 200"), 1);
}

static void a_deleted_peer_takes_its_policies_along(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    rk_auto(rk_delta_free) struct rk_delta *d = NULL, *full = NULL;
    const struct rk_actor actor = { .account_id = acc.account_id,
                                    .user_id = acc.user_id,
                                    .default_domain = "d.test" };
    struct rk_err err = { 0 };
    struct rk_bell bell;
    char id[RK_XID_LEN + 1], sql[1024];

    (void)state;
    fresh(pg, 0);
    assert_int_equal(register_peer(pg, "gone", NULL, &bell, &err), 0);
    full = load(pg, 0);
    memcpy(id, item(full, RK_OBJ_PEER)->id, sizeof(id));
    snprintf(sql, sizeof(sql),
             "INSERT INTO policy (id, public_id, account_id, name, enabled) VALUES ('pol1', "
             "'pub1', '%s', 'direct', true);"
             "INSERT INTO policy_rule (policy_id, position, id, enabled, action, protocol, "
             "bidirectional, "
             "source_resource_id, source_resource_type) VALUES ('pol1', 0, 'pol1', true, 'accept', "
             "'all', true, '%s', 'peer')",
             acc.account_id, id);
    pg_must(pg, sql);
    assert_int_equal(rk_peer_delete(pg, &actor, id, &bell, &err), 0);
    assert_int_equal(bell.serial, 2);
    d = load(pg, 1);
    assert_false(d->full);
    assert_int_equal(d->n, 2);
    assert_false(item(d, RK_OBJ_PEER)->present);
    assert_false(item(d, RK_OBJ_POLICY)->present);
    assert_int_equal(
        pg_ask(&fx,
               "SELECT count(*) FROM event WHERE code IN ('user.peer.delete', 'policy.delete')"),
        2);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'user.peer.delete' AND "
                                 "meta->>'fqdn' = 'gone.d.test'"),
                     1);
    assert_int_equal(rk_peer_delete(pg, &actor, id, &bell, &err), RK_NOT_FOUND);
}

static void an_agent_that_logs_out_is_its_owners_doing_or_nobodys(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    const struct rk_actor itself = { .account_id = acc.account_id, .default_domain = "d.test" };
    struct rk_err err = { 0 };
    struct rk_bell bell;

    (void)state;
    for (int owned = 0; owned < 2; owned++) {
        rk_auto(rk_delta_free) struct rk_delta *full = NULL;

        fresh(pg, 0);
        assert_int_equal(register_peer(pg, "gone", NULL, &bell, &err), 0);
        if (owned)
            pg_must(pg, "UPDATE peer SET user_id = 'alice'");
        full = load(pg, 0);
        assert_int_equal(rk_peer_delete(pg, &itself, item(full, RK_OBJ_PEER)->id, &bell, &err), 0);
        assert_int_equal(
            pg_ask(&fx, owned ? "SELECT count(*) FROM event WHERE code = 'user.peer.delete' AND "
                                "initiator_id = 'alice'"
                              : "SELECT count(*) FROM event WHERE code = 'user.peer.delete' AND "
                                "initiator_id = 'sys'"),
            1);
    }
}

/* === Loading === */

static void what_changed_is_named_and_a_gap_means_everything(void **state)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    rk_auto(rk_delta_free) struct rk_delta *one = NULL, *gap = NULL, *same = NULL, *gone = NULL;
    struct rk_err err = { 0 };
    struct rk_bell bell;
    char ids[2][RK_XID_LEN + 1] = { "", "absent" };
    uint64_t serials[2] = { 9, 9 };
    int64_t pruned = 0;
    int i;

    (void)state;
    fresh(pg, 0);
    for (i = 0; i < 3; i++)
        assert_int_equal(register_peer(pg, "l", NULL, &bell, &err), 0);
    one = load(pg, 2);
    assert_false(one->full);
    assert_int_equal(one->serial, 3);
    assert_int_equal(one->n, 2);
    assert_int_equal(count_kind(one, RK_OBJ_GROUP_PEER), 1);
    assert_true(item(one, RK_OBJ_GROUP_PEER)->present);
    assert_string_equal(item(one, RK_OBJ_GROUP_PEER)->peer, item(one, RK_OBJ_PEER)->id);
    assert_true(one->committed_at_us > 0);
    same = load(pg, 3);
    assert_false(same->full);
    assert_int_equal(same->n, 0);
    pg_must(pg, "DELETE FROM account_change WHERE serial = 2");
    gap = load(pg, 1);
    assert_true(gap->full);
    assert_int_equal(count_kind(gap, RK_OBJ_PEER), 3);
    assert_int_equal(item(gap, RK_OBJ_GROUP)->row.group->members_n, 3);
    memcpy(ids[0], acc.account_id, sizeof(ids[0]));
    assert_int_equal(rk_store_serials(pg, (const char(*)[RK_XID_LEN + 1]) ids, 2, serials, &err),
                     0);
    assert_int_equal(serials[0], 3);
    assert_int_equal(serials[1], 0);
    pg_must(pg, "UPDATE account_change SET at = now() - interval '1 hour'");
    pg_must(pg, "UPDATE account_change SET at = now() WHERE serial = 3");
    assert_int_equal(rk_store_prune_changes(pg, 60, &pruned, &err), 0);
    assert_int_equal(pruned, 2);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM account_change WHERE serial <> 3"), 0);
    pg_must(pg, "DELETE FROM account");
    gone = load(pg, 3);
    assert_true(gone->account_gone);
}

/* === Secrets === */

static void make_random(struct rk_buf *out)
{
    uint8_t b[32];

    rk_random(b, sizeof(b));
    rk_buf_put(out, b, sizeof(b));
}

struct secret_racer {
    struct rk_seal seal;
    uint8_t got[32];
    int r;
};

static void *race_secret(void *arg)
{
    rk_auto(rk_pg_free) struct rk_pg *pg = connect_pg();
    rk_auto(rk_buf_done) struct rk_buf out;
    struct secret_racer *me = arg;

    rk_buf_init(&out, 4096);
    me->r = rk_store_secret(pg, &me->seal, "server_key", make_random, &out, NULL);
    if (me->r == 0 && out.n == sizeof(me->got))
        memcpy(me->got, out.p, out.n);
    return NULL;
}

static void all_replicas_get_one_secret(void **state)
{
    struct secret_racer racer[4];
    pthread_t t[4];
    int i;

    (void)state;
    memset(racer, 0, sizeof(racer));
    for (i = 0; i < 4; i++) {
        memset(racer[i].seal.key, 5, 32);
        assert_int_equal(pthread_create(&t[i], NULL, race_secret, &racer[i]), 0);
    }
    for (i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    for (i = 0; i < 4; i++) {
        assert_int_equal(racer[i].r, 0);
        assert_memory_equal(racer[i].got, racer[0].got, 32);
    }
    memset(racer[0].seal.key, 6, 32); /* another deployment's key opens nothing */
    race_secret(&racer[0]);
    assert_true(racer[0].r < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setup_makes_one_account_with_its_defaults),
        cmocka_unit_test(of_two_setups_one_wins),
        cmocka_unit_test(a_peer_gets_address_label_groups_and_the_event),
        cmocka_unit_test(bad_keys_are_refused_with_the_known_text),
        cmocka_unit_test(of_two_peers_racing_for_the_last_use_one_wins),
        cmocka_unit_test(the_same_key_pair_twice_is_refused_and_spends_nothing),
        cmocka_unit_test(names_that_collide_get_the_address_behind_them),
        cmocka_unit_test(a_small_network_is_filled_to_the_last_address),
        cmocka_unit_test(extra_labels_need_the_keys_permission),
        cmocka_unit_test(labels_follow_the_rules),
        cmocka_unit_test(a_failure_at_any_step_leaves_nothing),
        cmocka_unit_test(a_failed_read_yields_no_delta),
        cmocka_unit_test(metadata_changes_once_and_an_empty_ui_version_keeps_the_old),
        cmocka_unit_test(the_newer_session_wins),
        cmocka_unit_test(a_deleted_peer_takes_its_policies_along),
        cmocka_unit_test(an_agent_that_logs_out_is_its_owners_doing_or_nobodys),
        cmocka_unit_test(what_changed_is_named_and_a_gap_means_everything),
        cmocka_unit_test(all_replicas_get_one_secret),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
