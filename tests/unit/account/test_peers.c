/* Peers that come, change and go, against a real server, and nothing half done. */

#include "tests/support/test.h"

#include <pthread.h>

#include "libcommon/account/peer/due.h"
#include "libcommon/account/store/int.h"
#include "libcommon/pg/pg_int.h"
#include "tests/support/account_peers.h"

static const char invalid[] = "couldn't add peer: setup key is invalid";

static void a_peer_gets_address_label_groups_and_the_event(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    char account[RK_XID_LEN + 1], b64[RK_KEY_B64_LEN + 1];
    const struct rk_peer_row *p;
    struct rk_peer_meta meta = meta_of("John's PC.local");
    struct rk_err err = { 0 };
    struct rk_bell bell;
    uint64_t serial = 0;
    uint8_t key[RK_KEY_LEN], hash[16];

    (void)state;
    fresh(0);
    assert_int_equal(register_peer(pg, "John's PC.local", key, &bell, &err), 0);
    assert_int_equal(bell.serial, 1);
    assert_string_equal(bell.account_id, acc.account_id);
    rk_key_format(key, b64);
    assert_int_equal(rk_store_find_peer(pg, b64, account, &serial, &err), 0);
    assert_int_equal(serial, 1);
    d = load(0);
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
    struct rk_err err = { 0 };
    struct rk_bell bell;
    size_t i;

    (void)state;
    for (i = 0; i < RK_COUNT(spoil); i++) {
        fresh(0);
        pg_must(pg, spoil[i]);
        assert_int_equal(register_peer(pg, "h", NULL, &bell, &err), RK_INVALID);
        assert_string_equal(err.msg, invalid);
    }
    fresh(0);
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
    rk_auto(rk_pg_free) struct rk_pg *own = rk_pg_new(fx.conninfo, "test");
    struct racer *me = arg;
    int round;

    for (round = 0; round < 200; round++) {
        struct rk_err err = { 0 };
        struct rk_bell bell;

        pthread_barrier_wait(me->gate);
        me->r = register_peer(own, "race", NULL, &bell, &err);
        memcpy(me->msg, err.msg, sizeof(me->msg));
        pthread_barrier_wait(me->gate);
    }
    return NULL;
}

static void of_two_peers_racing_for_the_last_use_one_wins(void **state)
{
    pthread_barrier_t gate;
    struct racer racer[2];
    pthread_t t[2];
    int round, i;

    (void)state;
    fresh(200);
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
    struct rk_peer_meta meta = meta_of("twice");
    struct rk_peer_registration reg = {
        .setup_key = key_text, .meta = &meta, .ssh_key = "", .connection_ip = ""
    };
    struct rk_err err = { 0 };
    struct rk_bell bell;

    (void)state;
    fresh(0);
    memset(reg.key, 7, sizeof(reg.key));
    assert_int_equal(rk_peer_register(pg, &reg, &bell, &err), 0);
    assert_int_equal(rk_peer_register(pg, &reg, &bell, &err), RK_PRECONDITION);
    assert_string_equal(err.msg, "peer has been already registered");
    assert_int_equal(pg_ask(&fx, "SELECT used_times FROM setup_key"), 1);
}

static void names_that_collide_get_the_address_behind_them(void **state)
{
    struct rk_err err = { 0 };
    struct rk_bell bell;

    (void)state;
    fresh(0);
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
    struct rk_err err = { 0 };
    struct rk_bell bell;
    char name[16];
    int i;

    (void)state;
    fresh(0);
    pg_must(pg, "UPDATE account SET net4 = '100.64.9.0/28'");
    for (i = 0; i < 13; i++) { /* 16 less network, broadcast and the agents' own */
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(register_peer(pg, name, NULL, &bell, &err), 0);
    }
    assert_int_equal(register_peer(pg, "n", NULL, &bell, &err), RK_INTERNAL);
    /* A name is as it was asked for, however many addresses were tried. */
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer WHERE dns_label = name"), 13);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer WHERE ip = '100.64.9.14'"), 0);
    assert_int_equal(pg_ask(&fx, "SELECT used_times FROM setup_key"), 13);
}

static void a_newcomer_is_in_the_ipv6_network_however_long_it_is(void **state)
{
    static const char *const nets[] = { "fd00:1:2:3:4:5:6:700/120", "fd00:1:2:3:4:5:6:0/111",
                                        "fd00:1:2:3::/64", "fd00:1::/48" };
    struct rk_err err = { 0 };
    struct rk_bell bell;
    char sql[100];

    (void)state;
    for (size_t i = 0; i < RK_COUNT(nets); i++) {
        fresh(0);
        snprintf(sql, sizeof(sql), "UPDATE account SET net6 = '%s'", nets[i]);
        pg_must(pg, sql);
        for (int k = 0; k < 20; k++)
            assert_int_equal(register_peer(pg, "n", NULL, &bell, &err), 0);
        assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer p, account a WHERE p.ip6 << "
                                     "a.net6 AND host(p.ip6) NOT IN (host(network(a.net6)), "
                                     "host(broadcast(a.net6)))"),
                         20);
    }
    /* All of its bits are used. */
    assert_true(pg_ask(&fx, "SELECT count(*) FROM peer WHERE NOT ip6 << 'fd00:1::/64'") > 0);
}

/* Who comes together, by one key. */
struct party {
    struct rk_peer_meta meta[8];
    struct rk_peer_registration regs[8];
    struct rk_registered out[8];
};

static void invite(struct party *p, size_t i, const char *hostname, uint8_t key)
{
    p->meta[i] = meta_of(hostname);
    p->regs[i] = (struct rk_peer_registration){ .setup_key = key_text,
                                                .meta = &p->meta[i],
                                                .ssh_key = "",
                                                .connection_ip = "192.0.2.1",
                                                .default_domain = "d.test" };
    memset(p->regs[i].key, key, RK_KEY_LEN);
}

static void who_comes_together_is_one_change_and_each_has_its_answer(void **state)
{
    const struct rk_str label = RK_STR("api");
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    struct party p;
    struct rk_err err = { 0 };
    struct rk_bell bell = { .serial = 0 };
    unsigned trips;
    size_t i;

    (void)state;
    fresh(0);
    assert_int_equal(register_peer(pg, "web", NULL, &bell, &err), 0);
    invite(&p, 0, "web", 1);
    invite(&p, 1, "db", 2);
    invite(&p, 2, "db", 3);
    invite(&p, 3, "mail", 2); /* again, with the same key pair */
    invite(&p, 4, "", 4);
    invite(&p, 5, "labelled", 5);
    p.regs[5].dns_labels = &label;
    p.regs[5].dns_labels_n = 1;
    assert_int_equal(rk_peer_register_all(pg, p.regs, 6, p.out, &bell, &err), 0);
    assert_int_equal(bell.serial, 2);
    assert_int_equal(p.out[0].r, 0);
    assert_int_equal(p.out[1].r, 0);
    assert_int_equal(p.out[2].r, 0);
    assert_int_equal(p.out[3].r, RK_PRECONDITION);
    assert_true(p.out[3].known);
    assert_int_equal(p.out[4].r, RK_INTERNAL);
    assert_int_equal(p.out[5].r, RK_PRECONDITION);
    assert_false(p.out[5].known);
    assert_string_equal(p.out[5].err.msg,
                        "couldn't add peer: setup key doesn't allow extra DNS labels");
    assert_int_equal(pg_ask(&fx, "SELECT used_times FROM setup_key"), 4);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer WHERE name = 'db' AND (dns_label = "
                                 "'db' OR dns_label LIKE 'db-%-%')"),
                     2);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer WHERE dns_label LIKE 'web-%-%'"), 1);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM peer p JOIN peer_status s ON s.peer_id = p.id JOIN "
                    "group_peer m ON m.peer_id = p.id JOIN event e ON e.target_id = p.id AND "
                    "e.code = 'peer.setupkey.add' AND e.meta->>'ip' = host(p.ip) AND "
                    "(e.meta->>'created_at')::timestamptz = p.created_at"),
        4);
    d = load(1);
    assert_int_equal(d->serial, 2);
    assert_int_equal(d->n, 6); /* three peers and that they are in All */
    /* Four round trips, however many they are. */
    for (i = 0; i < 8; i++)
        invite(&p, i, "n", (uint8_t)(10 + i));
    trips = rk_pg_trips(pg);
    assert_int_equal(rk_peer_register_all(pg, p.regs, 8, p.out, &bell, &err), 0);
    assert_int_equal(rk_pg_trips(pg) - trips, 4);
    assert_int_equal(pg_ask(&fx, "SELECT used_times FROM setup_key"), 12);
}

static void those_who_come_first_get_the_last_uses(void **state)
{
    struct party p;
    struct rk_err err = { 0 };
    struct rk_bell bell = { .serial = 0 };

    (void)state;
    fresh(3);
    invite(&p, 0, "a", 1);
    assert_int_equal(rk_peer_register_all(pg, p.regs, 1, p.out, &bell, &err), 0);
    assert_int_equal(p.out[0].r, 0);
    for (uint8_t i = 0; i < 4; i++)
        invite(&p, i, "b", (uint8_t)(1 + i)); /* the first is there already, and uses nothing up */
    assert_int_equal(rk_peer_register_all(pg, p.regs, 4, p.out, &bell, &err), 0);
    assert_int_equal(p.out[0].r, RK_PRECONDITION);
    assert_true(p.out[0].known);
    assert_int_equal(p.out[1].r, 0);
    assert_int_equal(p.out[2].r, 0);
    assert_int_equal(p.out[3].r, RK_INVALID);
    assert_string_equal(p.out[3].err.msg, invalid);
    assert_int_equal(pg_ask(&fx, "SELECT used_times FROM setup_key"), 3);
    /* Who is there is told so, by a key that nobody can use any more. */
    bell.serial = 0;
    assert_int_equal(rk_peer_register_all(pg, p.regs + 2, 2, p.out, &bell, &err), 0);
    assert_true(p.out[0].known);
    assert_int_equal(p.out[1].r, RK_INVALID);
    assert_int_equal(bell.serial, 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM peer"), 3);
}

static void extra_labels_need_the_keys_permission(void **state)
{
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
    fresh(0);
    assert_int_equal(rk_peer_register(pg, &reg, &bell, &err), RK_PRECONDITION);
    assert_string_equal(err.msg, "couldn't add peer: setup key doesn't allow extra DNS labels");
    pg_must(pg, "UPDATE setup_key SET allow_extra_dns_labels = true");
    assert_int_equal(rk_peer_register(pg, &reg, &bell, &err), 0);
    d = load(0);
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

static void a_failure_at_any_step_leaves_nothing(void **state)
{
    static const int codes[] = { RK_INTERNAL, RK_UNAVAILABLE };
    struct rk_err err = { 0 };
    struct rk_bell bell;
    size_t c;

    (void)state;
    for (c = 0; c < RK_COUNT(codes); c++) {
        unsigned k;
        int r = -1;

        fresh(0);
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

static void metadata_changes_once_and_an_empty_ui_version_keeps_the_old(void **state)
{
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    struct rk_peer_meta meta = meta_of("m"), empty = { 0 };
    struct rk_err err = { 0 };
    struct rk_bell bell;
    char id[RK_XID_LEN + 1];

    (void)state;
    fresh(0);
    assert_int_equal(register_peer(pg, "m", NULL, &bell, &err), 0);
    d = load(0);
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
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    struct rk_peer_presence row = {
        .connected = true, .session = 100, .replica = "m1", .connection_ip = "198.51.100.7"
    };
    struct rk_peer_presence pair[2];
    struct rk_err err = { 0 };
    struct rk_bell bell;
    bool old[2] = { true, true };

    (void)state;
    fresh(0);
    assert_int_equal(register_peer(pg, "p", NULL, &bell, &err), 0);
    d = load(0);
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
    rk_auto(rk_delta_free) struct rk_delta *d = NULL, *full = NULL;
    const struct rk_actor actor = { .account_id = acc.account_id,
                                    .user_id = acc.user_id,
                                    .default_domain = "d.test" };
    struct rk_err err = { 0 };
    struct rk_bell bell;
    char id[RK_XID_LEN + 1], sql[1024];

    (void)state;
    fresh(0);
    assert_int_equal(register_peer(pg, "gone", NULL, &bell, &err), 0);
    full = load(0);
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
    d = load(1);
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
    const struct rk_actor itself = { .account_id = acc.account_id, .default_domain = "d.test" };
    struct rk_err err = { 0 };
    struct rk_bell bell;

    (void)state;
    for (int owned = 0; owned < 2; owned++) {
        rk_auto(rk_delta_free) struct rk_delta *full = NULL;

        fresh(0);
        assert_int_equal(register_peer(pg, "gone", NULL, &bell, &err), 0);
        if (owned)
            pg_must(pg, "UPDATE peer SET user_id = 'alice'");
        full = load(0);
        assert_int_equal(rk_peer_delete(pg, &itself, item(full, RK_OBJ_PEER)->id, &bell, &err), 0);
        assert_int_equal(
            pg_ask(&fx, owned ? "SELECT count(*) FROM event WHERE code = 'user.peer.delete' AND "
                                "initiator_id = 'alice'"
                              : "SELECT count(*) FROM event WHERE code = 'user.peer.delete' AND "
                                "initiator_id = 'sys'"),
            1);
    }
}

/* Rows of the tables that grow with the account which all sessions together have looked at. */
static int64_t rows_read(void)
{
    pg_must(pg, "SELECT pg_stat_force_next_flush()");
    return pg_ask(&fx, "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM "
                       "pg_stat_user_tables WHERE relname IN ('peer', 'peer_status', "
                       "'group_peer')");
}

/* A peer comes, is loaded, connects and goes. */
static void come_and_go(uint64_t *serial)
{
    rk_auto(rk_delta_free) struct rk_delta *d = NULL;
    struct rk_peer_presence row = { .connected = true, .session = 1, .replica = "r" };
    struct rk_err err = { 0 };
    struct rk_bell bell;

    assert_int_equal(register_peer(pg, "h", NULL, &bell, &err), 0);
    d = load(*serial);
    *serial = d->serial;
    memcpy(row.peer_id, item(d, RK_OBJ_PEER)->row.peer_row->id, sizeof(row.peer_id));
    assert_int_equal(rk_peer_store_presence(pg, &row, 1, RK_EPHEMERAL_LIFE_S, NULL, &err), 0);
    row.connected = false;
    assert_int_equal(rk_peer_store_presence(pg, &row, 1, RK_EPHEMERAL_LIFE_S, NULL, &err), 0);
}

static void what_was_planned_for_a_small_account_does_not_read_all_of_a_large_one(void **state)
{
    uint64_t serial = 0;
    int64_t before;

    (void)state;
    fresh(0);
    for (int i = 0; i < 20; i++)
        come_and_go(&serial);
    pg_must(pg, "WITH n AS (INSERT INTO peer (id, account_id, key, ip, dns_label, name) SELECT "
                "'n' || i, a.id, 'n' || i, host(network(a.net4))::inet + i, 'n' || i, 'n' FROM "
                "account a, generate_series(1, 3000) i ON CONFLICT DO NOTHING RETURNING id), "
                "s AS (INSERT INTO peer_status (peer_id) SELECT id FROM n) "
                "INSERT INTO group_peer (group_id, peer_id) SELECT g.id, n.id FROM account_group "
                "g, n");
    before = rows_read();
    come_and_go(&serial);
    assert_in_range(rows_read() - before, 1, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_gets_address_label_groups_and_the_event),
        cmocka_unit_test(bad_keys_are_refused_with_the_known_text),
        cmocka_unit_test(of_two_peers_racing_for_the_last_use_one_wins),
        cmocka_unit_test(the_same_key_pair_twice_is_refused_and_spends_nothing),
        cmocka_unit_test(names_that_collide_get_the_address_behind_them),
        cmocka_unit_test(a_small_network_is_filled_to_the_last_address),
        cmocka_unit_test(a_newcomer_is_in_the_ipv6_network_however_long_it_is),
        cmocka_unit_test(who_comes_together_is_one_change_and_each_has_its_answer),
        cmocka_unit_test(those_who_come_first_get_the_last_uses),
        cmocka_unit_test(extra_labels_need_the_keys_permission),
        cmocka_unit_test(labels_follow_the_rules),
        cmocka_unit_test(a_failure_at_any_step_leaves_nothing),
        cmocka_unit_test(metadata_changes_once_and_an_empty_ui_version_keeps_the_old),
        cmocka_unit_test(what_was_planned_for_a_small_account_does_not_read_all_of_a_large_one),
        cmocka_unit_test(the_newer_session_wins),
        cmocka_unit_test(a_deleted_peer_takes_its_policies_along),
        cmocka_unit_test(an_agent_that_logs_out_is_its_owners_doing_or_nobodys),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
