#include "tests/support/test.h"

/* Single facts of a compiled map. */

#include "tests/support/account_maps.h"

/* A and B with a policy All -> All made by the caller. */
static struct rk_delta *pair(struct rk_peer_row *a, struct rk_peer_row *b, struct rk_policy_row *p)
{
    struct rk_delta *d = rows_full(1);
    struct rk_group_row *g = rows_group("gAll", "All");

    rows_add_account(d, rows_account());
    rows_add_peer(d, a);
    rows_add_peer(d, b);
    rows_member(g, "A");
    rows_member(g, "B");
    rows_add_group(d, g);
    if (p)
        rows_add_policy(d, p);
    return d;
}

static struct rk_policy_row *all_to_all(enum rk_rule_protocol protocol)
{
    struct rk_policy_row *p = rows_policy("pol");
    struct rk_rule *r = rows_rule(p, protocol, true);

    rows_source(r, "gAll");
    rows_destination(r, "gAll");
    return p;
}

static struct rk_snapshot *pair_all(struct rk_peer_row *a, struct rk_peer_row *b)
{
    return rows_apply(NULL, pair(a, b, all_to_all(RK_PROTO_ALL)));
}

static void fact_15_a_setup_key_peer_has_an_empty_session_deadline(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s =
        pair_all(rows_peer("A", 1), rows_peer("B", 2));
    rk_auto(rk_buf_done) struct rk_buf b;

    (void)state;
    rk_buf_init(&b, 1 << 20);
    rk_compile_session_expiry(s, 0, &b);
    assert_int_equal(b.n, 0);
    rk_compile_map(s, 0, NOW_US, &b);
    assert_int_equal(b.p[b.n - 2], 0x3a); /* the last field of the message: 3A 00 */
    assert_int_equal(b.p[b.n - 1], 0x00);
}

static void an_sso_peer_gets_its_deadline_to_the_nanosecond(void **state)
{
    struct rk_peer_row *a = rows_peer("A", 1);
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    Management__SyncResponse *m;

    (void)state;
    rows_set(&a->user_id, "u");
    a->login_expiration_enabled = true;
    a->last_login_us = NOW_US;
    s = pair_all(a, rows_peer("B", 2));
    m = compile(s, "A");
    assert_int_equal(m->sessionexpiresat->seconds, NOW_US / 1000000 + 86400);
    assert_int_equal(m->sessionexpiresat->nanos, 123456000);
    done(m);
}

static void fact_17_a_lone_peer_gets_all_three_empty_flags_and_its_login_address(void **state)
{
    struct rk_delta *d = rows_full(3);
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    rk_auto(rk_buf_done) struct rk_buf b;
    Management__SyncResponse *m;
    Management__PeerConfig *login;

    (void)state;
    rows_add_account(d, rows_account());
    rows_add_peer(d, rows_peer("A", 1));
    s = rows_apply(NULL, d);
    m = compile(s, "A");
    assert_true(m->networkmap->remotepeersisempty);
    assert_true(m->networkmap->firewallrulesisempty);
    assert_true(m->networkmap->routesfirewallrulesisempty);
    rk_buf_init(&b, 4096);
    rk_compile_peer_config(s, 0, NULL, &b);
    login = management__peer_config__unpack(NULL, b.n, b.p);
    assert_string_equal(login->address, "100.64.0.1/16");
    assert_string_equal(m->networkmap->peerconfig->address, login->address);
    management__peer_config__free_unpacked(login, NULL);
    done(m);
}

static void fact_18_the_first_peer_sees_the_second_by_32_with_all_in_and_out(void **state)
{
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);
    struct rk_delta *first = rows_full(1);
    struct rk_group_row *g = rows_group("gAll", "All");
    struct rk_snapshot *s;
    Management__SyncResponse *m;

    (void)state;
    rows_add_account(first, rows_account());
    rows_add_peer(first, rows_peer("A", 1));
    rows_member(g, "A");
    rows_add_group(first, g);
    rows_add_policy(first, all_to_all(RK_PROTO_ALL));
    s = rows_apply(NULL, first);
    rows_add_peer(d, rows_peer("B", 2));
    rows_add_membership(d, "gAll", "B", true);
    s = rows_apply(s, d);
    m = compile(s, "A");
    assert_null(m->netbirdconfig);
    assert_int_equal(m->networkmap->serial, 2);
    assert_int_equal(m->networkmap->n_remotepeers, 1);
    assert_string_equal(m->networkmap->remotepeers[0]->allowedips[0], "100.64.0.2/32");
    assert_int_equal(m->networkmap->n_firewallrules, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(m->networkmap->firewallrules[i]->direction, i);
        assert_int_equal(m->networkmap->firewallrules[i]->protocol, MANAGEMENT__RULE_PROTOCOL__ALL);
    }
    done(m);
    rk_snapshot_unref(s);
}

static void fact_19_source_prefixes_come_with_capability_1_and_peer_ip_always(void **state)
{
    static const uint8_t want[5] = { 0x64, 0x5c, 0x03, 0x04, 0x20 };
    struct rk_peer_row *a = rows_peer("A", 1), *b = rows_peer("B", 2);
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    Management__SyncResponse *m;

    (void)state;
    memcpy(a->ip4, want, 4);
    a->capabilities = 0;
    s = pair_all(a, b);
    m = compile(s, "A");
    assert_int_equal(m->networkmap->firewallrules[0]->n_sourceprefixes, 0);
    assert_string_equal(m->networkmap->firewallrules[0]->peerip, "100.64.0.2");
    done(m);
    m = compile(s, "B");
    assert_int_equal(m->networkmap->firewallrules[0]->n_sourceprefixes, 1);
    assert_int_equal(m->networkmap->firewallrules[0]->sourceprefixes[0].len, 5);
    assert_memory_equal(m->networkmap->firewallrules[0]->sourceprefixes[0].data, want, 5);
    assert_string_equal(m->networkmap->firewallrules[0]->peerip, "100.92.3.4");
    done(m);
}

static void address_v6_is_address_and_prefix_length_and_follows_the_claims(void **state)
{
    static const uint8_t want[17] = { 0xfd, 0x12, 0x34, 0x56, 0x78, 0x9a, 0, 1,   0,
                                      0,    0,    0,    0,    0,    0,    5, 0x40 };
    struct rk_peer_row *a = rows_peer("A", 1);
    struct rk_account_row *acct = rows_account();
    struct rk_delta *d = rows_full(1);
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    static const struct {
        struct rk_peer_claims claims;
        bool has;
    } cases[] = { { { RK_CAP_IPV6, false }, true },
                  { { RK_CAP_IPV6, true }, false },
                  { { 0, false }, false } };

    (void)state;
    acct->has_net6 = true;
    a->has_ip6 = true;
    memcpy(a->ip6, want, 16);
    rows_add_account(d, acct);
    rows_add_peer(d, a);
    s = rows_apply(NULL, d);
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        rk_auto(rk_buf_done) struct rk_buf b;
        Management__PeerConfig *c;

        rk_buf_init(&b, 4096);
        rk_compile_peer_config(s, 0, &cases[i].claims, &b);
        c = management__peer_config__unpack(NULL, b.n, b.p);
        assert_int_equal(c->address_v6.len, cases[i].has ? 17 : 0);
        if (cases[i].has)
            assert_memory_equal(c->address_v6.data, want, 17);
        management__peer_config__free_unpacked(c, NULL);
    }
}

static void a_deleted_peer_is_told_so_with_every_flag_and_no_config(void **state)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    Management__SyncResponse *m;

    (void)state;
    rk_buf_init(&b, 4096);
    rk_compile_deleted(9, 22054, &b);
    m = decode(&b);
    check_empty(m);
    assert_int_equal(m->networkmap->serial, 9);
    assert_int_equal(m->networkmap->dnsconfig->forwarderport, 22054);
    assert_null(m->peerconfig);
    assert_null(m->networkmap->peerconfig);
    assert_null(m->sessionexpiresat);
    done(m);
}

static void an_ancient_or_unknown_version_gets_the_duplicate_peer_list(void **state)
{
    static const struct {
        const char *version;
        size_t n;
    } cases[] = { { "0.77.1", 0 },     { "0.29.3", 0 }, { "0.29.2", 1 },
                  { "0.77.1-rc1", 1 }, { "", 1 },       { "dev-abc", 0 } };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        struct rk_peer_row *a = rows_peer("A", 1);
        rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
        Management__SyncResponse *m;

        rows_set(&a->version, cases[i].version);
        s = pair_all(a, rows_peer("B", 2));
        m = compile(s, "A");
        assert_int_equal(m->n_remotepeers, cases[i].n);
        if (cases[i].n)
            assert_string_equal(m->remotepeers[0]->wgpubkey,
                                m->networkmap->remotepeers[0]->wgpubkey);
        done(m);
    }
}

static void the_forwarder_port_is_new_only_when_every_peer_is(void **state)
{
    static const struct {
        const char *version;
        int64_t port;
    } cases[] = { { "0.59.0", 22054 }, { "0.59.0-x", 5353 },     { "0.58.9", 5353 },
                  { "", 5353 },        { "development", 22054 }, { "ci-1", 22054 },
                  { "0.60", 22054 },   { "01.60.0", 5353 } };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(cases); i++) {
        struct rk_peer_row *b = rows_peer("B", 2);
        rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;

        rows_set(&b->version, cases[i].version);
        s = pair_all(rows_peer("A", 1), b);
        assert_int_equal(rk_compile_forwarder_port(s), cases[i].port);
    }
}

static void extra_labels_are_records_and_no_domain_means_no_zone_and_no_fqdn(void **state)
{
    struct rk_peer_row *b = rows_peer("B", 2);
    struct rk_delta *d = rk_delta_new(ROWS_ACCOUNT, 2);
    struct rk_account_row *a = rows_account();
    struct rk_snapshot *s;
    Management__SyncResponse *m;

    (void)state;
    b->extra_dns_labels = rk_alloc(sizeof(char *));
    b->extra_dns_labels[0] = rk_strdup("db");
    b->extra_dns_labels_n = 1;
    s = pair_all(rows_peer("A", 1), b);
    m = compile(s, "A");
    assert_int_equal(m->networkmap->dnsconfig->customzones[0]->n_records, 3);
    assert_string_equal(m->networkmap->dnsconfig->customzones[0]->records[2]->name, "db.nb.test");
    assert_string_equal(m->networkmap->dnsconfig->customzones[0]->records[2]->rdata, "100.64.0.2");
    done(m);
    rows_set(&a->dns_domain, "");
    rows_add_account(d, a);
    s = rows_apply(s, d);
    m = compile(s, "A");
    assert_true(m->networkmap->dnsconfig->serviceenable);
    assert_int_equal(m->networkmap->dnsconfig->n_customzones, 0);
    assert_string_equal(m->networkmap->peerconfig->fqdn, "");
    assert_string_equal(m->networkmap->remotepeers[0]->fqdn, "");
    done(m);
    rk_snapshot_unref(s);
}

static void peers_named_directly_meet_only_each_other_and_need_approval_too(void **state)
{
    for (int approved = 0; approved < 2; approved++) {
        struct rk_policy_row *p = rows_policy("pol");
        struct rk_rule *r = rows_rule(p, RK_PROTO_TCP, false);
        struct rk_peer_row *b = rows_peer("B", 2);
        rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
        Management__SyncResponse *m;

        (void)state;
        (void)rk_str_copy(RK_STR("A"), r->source_peer, sizeof(r->source_peer));
        (void)rk_str_copy(RK_STR("B"), r->destination_peer, sizeof(r->destination_peer));
        b->requires_approval = !approved;
        s = rows_apply(NULL, pair(rows_peer("A", 1), b, p));
        m = compile(s, "A");
        assert_int_equal(m->networkmap->n_remotepeers, approved);
        assert_int_equal(m->networkmap->n_firewallrules, approved);
        if (approved)
            assert_int_equal(m->networkmap->firewallrules[0]->direction,
                             MANAGEMENT__RULE_DIRECTION__OUT);
        done(m);
    }
}

static void an_ssh_rule_turns_the_server_on_for_destinations_and_is_sent_as_tcp(void **state)
{
    (void)state;
    for (int with_port = 0; with_port < 2; with_port++) { /* without one, SSH's own are meant */
        struct rk_policy_row *p = rows_policy("pol");
        struct rk_rule *r = rows_rule(p, RK_PROTO_NETBIRD_SSH, false);
        rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
        Management__SyncResponse *m;

        (void)rk_str_copy(RK_STR("A"), r->source_peer, sizeof(r->source_peer));
        (void)rk_str_copy(RK_STR("B"), r->destination_peer, sizeof(r->destination_peer));
        if (with_port)
            rows_port(r, "22");
        s = rows_apply(NULL, pair(rows_peer("A", 1), rows_peer("B", 2), p));
        m = compile(s, "B");
        assert_true(m->peerconfig->sshconfig->sshenabled);
        assert_int_equal(m->networkmap->n_firewallrules, 2);
        for (size_t i = 0; i < 2; i++) {
            const Management__FirewallRule *f = m->networkmap->firewallrules[i];

            assert_int_equal(f->protocol, MANAGEMENT__RULE_PROTOCOL__TCP);
            assert_string_equal(f->port, i == 0 ? "22" : "22022");
        }
        done(m);
        m = compile(s, "A");
        assert_false(m->peerconfig->sshconfig->sshenabled);
        assert_int_equal(m->networkmap->n_firewallrules, 2);
        done(m);
    }
}

static void a_rule_that_opens_22022_itself_gains_no_copy_of_it(void **state)
{
    for (int ranges = 0; ranges < 2; ranges++) {
        struct rk_policy_row *p = rows_policy("pol");
        struct rk_rule *r = rows_rule(p, RK_PROTO_NETBIRD_SSH, false);
        rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
        Management__SyncResponse *m;

        (void)state;
        rows_source(r, "gAll");
        (void)rk_str_copy(RK_STR("B"), r->destination_peer, sizeof(r->destination_peer));
        if (ranges) {
            rows_range(r, 20, 25);
            rows_range(r, 22000, 23000);
        } else {
            rows_port(r, "22");
            rows_port(r, "22022");
        }
        s = rows_apply(NULL, pair(rows_peer("A", 1), rows_peer("B", 2), p));
        m = compile(s, "B");
        assert_int_equal(m->networkmap->n_firewallrules, 2);
        done(m);
    }
}

static void an_empty_port_opens_nothing(void **state)
{
    struct rk_policy_row *p = all_to_all(RK_PROTO_TCP);
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    Management__SyncResponse *m;

    (void)state;
    rows_port(&p->rules[0], "");
    s = rows_apply(NULL, pair(rows_peer("A", 1), rows_peer("B", 2), p));
    m = compile(s, "A");
    assert_int_equal(m->networkmap->n_firewallrules, 0);
    assert_true(m->networkmap->firewallrulesisempty);
    done(m);
}

static void rules_that_are_the_same_on_the_wire_name_each_peer_once(void **state)
{
    struct rk_policy_row *p = rows_policy("pol");
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    Management__SyncResponse *m;

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct rk_rule *r = rows_rule(p, RK_PROTO_TCP, true);

        rows_source(r, "gAll");
        rows_destination(r, "gAll");
        rows_range(r, 80, i == 2 ? 90 : 80); /* the third is another rule */
    }
    s = rows_apply(NULL, pair(rows_peer("A", 1), rows_peer("B", 2), p));
    m = compile(s, "A");
    assert_int_equal(m->networkmap->n_firewallrules, 4);
    done(m);
}

static void a_peer_flagged_expired_is_offline_even_without_the_account_setting(void **state)
{
    struct rk_peer_row *b = rows_peer("B", 2);
    struct rk_delta *d;
    struct rk_account_row *a = rows_account();
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s = NULL;
    Management__SyncResponse *m;

    (void)state;
    b->login_expired = true;
    a->peer_login_expiration_enabled = false;
    s = pair_all(rows_peer("A", 1), b);
    d = rk_delta_new(ROWS_ACCOUNT, 2);
    rows_add_account(d, a);
    s = rows_apply(rk_steal(s), d);
    m = compile(s, "A");
    assert_int_equal(m->networkmap->n_remotepeers, 0);
    assert_true(m->networkmap->remotepeersisempty);
    assert_int_equal(m->networkmap->n_offlinepeers, 1);
    assert_int_equal(m->networkmap->n_firewallrules, 2);
    done(m);
}

static void a_map_past_the_buffers_limit_says_so(void **state)
{
    rk_auto(rk_snapshot_unref) struct rk_snapshot *s =
        pair_all(rows_peer("A", 1), rows_peer("B", 2));

    (void)state;
    for (size_t max = 0; max < 400; max++) {
        rk_auto(rk_buf_done) struct rk_buf b;

        rk_buf_init(&b, max);
        rk_compile_map(s, 0, NOW_US, &b);
        if (!b.overflow)
            done(decode(&b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fact_15_a_setup_key_peer_has_an_empty_session_deadline),
        cmocka_unit_test(an_sso_peer_gets_its_deadline_to_the_nanosecond),
        cmocka_unit_test(fact_17_a_lone_peer_gets_all_three_empty_flags_and_its_login_address),
        cmocka_unit_test(fact_18_the_first_peer_sees_the_second_by_32_with_all_in_and_out),
        cmocka_unit_test(fact_19_source_prefixes_come_with_capability_1_and_peer_ip_always),
        cmocka_unit_test(address_v6_is_address_and_prefix_length_and_follows_the_claims),
        cmocka_unit_test(a_deleted_peer_is_told_so_with_every_flag_and_no_config),
        cmocka_unit_test(an_ancient_or_unknown_version_gets_the_duplicate_peer_list),
        cmocka_unit_test(the_forwarder_port_is_new_only_when_every_peer_is),
        cmocka_unit_test(extra_labels_are_records_and_no_domain_means_no_zone_and_no_fqdn),
        cmocka_unit_test(peers_named_directly_meet_only_each_other_and_need_approval_too),
        cmocka_unit_test(an_ssh_rule_turns_the_server_on_for_destinations_and_is_sent_as_tcp),
        cmocka_unit_test(a_rule_that_opens_22022_itself_gains_no_copy_of_it),
        cmocka_unit_test(an_empty_port_opens_nothing),
        cmocka_unit_test(rules_that_are_the_same_on_the_wire_name_each_peer_once),
        cmocka_unit_test(a_peer_flagged_expired_is_offline_even_without_the_account_setting),
        cmocka_unit_test(a_map_past_the_buffers_limit_says_so),
    };

    return RUN_TESTS(tests);
}
