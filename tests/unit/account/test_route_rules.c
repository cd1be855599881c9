/* The rules of routes against a real server. */

#include "libcommon/account/rules/route.h"
#include "tests/support/account_rules.h"

static char dev[RK_XID_LEN + 1], ops[RK_XID_LEN + 1];
static struct rk_str dev_list, ops_list;

#define LIST(array)                                                                                \
    {                                                                                              \
        .v = (array), .n = RK_COUNT(array), .sent = true                                           \
    }
#define ONE(item)                                                                                  \
    {                                                                                              \
        .v = &(item), .n = 1, .sent = true                                                         \
    }

static int fresh(void **state)
{
    if (account_fresh(state) < 0)
        return -1;
    two_peers();
    make_group_of("dev", A, dev);
    make_group_of("ops", A, ops);
    dev_list = rk_str(dev);
    ops_list = rk_str(ops);
    return 0;
}

/* To `network` by the peers of dev, for dev. */
static struct rk_route_input to(const char *network)
{
    return (struct rk_route_input){ .net_id = "n1",
                                    .description = "",
                                    .network = network,
                                    .peer_groups = ONE(dev_list),
                                    .groups = ONE(dev_list),
                                    .metric = 9999,
                                    .enabled = true };
}

static struct rk_route_input by_peer(const char *network, const char *peer)
{
    struct rk_route_input in = to(network);

    in.peer = peer;
    in.peer_groups = (struct rk_route_list){ .n = 0 };
    return in;
}

static void make(const struct rk_route_input *in, char id[RK_XID_LEN + 1])
{
    struct rk_err err = { 0 };
    int64_t was = serial();

    if (rk_route_create(pg, &actor, in, id, &bell, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal((int64_t)bell.serial, was + 1);
    assert_int_equal(serial(), was + 1);
}

static void refuse(const struct rk_route_input *in, int code, const char *message)
{
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    int64_t was = serial();

    refused(rk_route_create(pg, &actor, in, id, &bell, &err), code, &err, message);
    assert_int_equal(serial(), was);
}

#define REFUSE(code, message, ...)                                                                 \
    do {                                                                                           \
        struct rk_route_input in = to("10.0.0.0/8");                                               \
        __VA_ARGS__;                                                                               \
        refuse(&in, code, message);                                                                \
    } while (0)

static void a_route_leads_to_one_kind_of_place_by_one_kind_of_peers(void **state)
{
    const struct rk_route_list none = { .n = 0, .sent = true };

    (void)state;
    REFUSE(RK_INVALID, "only one of 'network' or 'domains' should be provided", in.domains = none);
    REFUSE(RK_INVALID, "either 'network' or 'domains' should be provided", in.network = NULL);
    REFUSE(RK_INVALID, "only one of 'peer' or 'peer_groups' should be provided", in.peer = "");
    REFUSE(RK_INVALID, "either 'peer' or 'peer_groups' should be provided",
           in.peer_groups.sent = false);
}

static void every_field_has_its_bounds(void **state)
{
    static const char *const bad_networks[] = { "",           "10.0.0.0",     "10.0.0.0/33",
                                                "10.0.0.0/x", "fd00::/129",   "example.com",
                                                "10.0.0/8",   "10.0.0.0/8/8", "/8" };

    (void)state;
    for (size_t i = 0; i < RK_COUNT(bad_networks); i++) {
        char message[64];

        snprintf(message, sizeof(message), "invalid network %s", bad_networks[i]);
        REFUSE(RK_INVALID, message, in.network = bad_networks[i]);
    }
    REFUSE(RK_INVALID, "identifier should be between 1 and 40 characters", in.net_id = "");
    REFUSE(RK_INVALID, "identifier should be between 1 and 40 characters",
           in.net_id = "12345678901234567890123456789012345678901");
    REFUSE(RK_INVALID, "metric should be between 1 and 9999", in.metric = 0);
    REFUSE(RK_INVALID, "metric should be between 1 and 9999", in.metric = 10000);
    REFUSE(RK_INVALID, "metric should be between 1 and 9999", in.metric = INT64_MIN);
}

static void what_a_route_names_exists(void **state)
{
    const struct rk_str nobody = RK_STR("nobody"), empty = RK_STR("");

    (void)state;
    REFUSE(RK_INVALID, "the list of group ids should not be empty", in.groups.n = 0);
    REFUSE(RK_INVALID, "group id should not be empty string", in.groups.v = &empty);
    REFUSE(RK_INVALID, "group id nobody not found", in.groups.v = &nobody);
    REFUSE(RK_INVALID, "group id nobody not found", in.peer_groups.v = &nobody);
    REFUSE(RK_INVALID, "group id nobody not found",
           in.access_groups = (struct rk_route_list)ONE(nobody));
    REFUSE(RK_INVALID, "peer with id nobody not found", in.peer = "nobody";
           in.peer_groups.sent = false; in.peer_groups.n = 0);
}

static void domains_are_counted_and_read(void **state)
{
    struct rk_str names[33];
    const struct rk_str good[] = { RK_STR("B.example.com"), RK_STR("*.b\xc3\xbc"
                                                                   "cher.de") };
    char id[RK_XID_LEN + 1];
    struct rk_route_input in = to(NULL);

    (void)state;
    in.domains.sent = true;
    refuse(&in, RK_INVALID, "invalid domains: domains list is empty");
    for (size_t i = 0; i < RK_COUNT(names); i++)
        names[i] = RK_STR("a.b");
    in.domains = (struct rk_route_list)LIST(names);
    refuse(&in, RK_INVALID, "invalid domains: domains list exceeds maximum allowed domains: 32");
    in.domains.n = 32;
    names[31] = RK_STR("-bad-");
    refuse(&in, RK_INVALID, "invalid domains: invalid domain format: -bad-");
    in.domains = (struct rk_route_list)LIST(good);
    make(&in, id);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM route WHERE network IS NULL AND domains = "
                                 "'{b.example.com,*.xn--bcher-kva.de}'"),
                     1);
    refuse(&in, RK_EXISTS,
           "failed to add route with domains [b.example.com, *.b\xc3\xbc"
           "cher.de] - peer group dev already has this route");
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'route.add' AND "
                                 "meta->>'network_range' = '192.0.2.0/32' AND meta->>'domains' = "
                                 "U&'b.example.com, *.b\\00fccher.de'"),
                     1);
}

static void a_network_is_stored_without_its_host_bits(void **state)
{
    struct rk_route_input four = to("10.0.0.5/8"), six = to("2001:DB8::1/64");
    char id[RK_XID_LEN + 1];

    (void)state;
    make(&four, id);
    make(&six, id);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM route WHERE network IN ('10.0.0.0/8', '2001:db8::/64')"),
        2);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'route.add' AND meta = "
                                 "jsonb_build_object('name', 'n1', 'network_range', '10.0.0.0/8', "
                                 "'domains', '', 'peer_id', '', 'peer_groups', "
                                 "jsonb_build_array((SELECT id FROM account_group WHERE name = "
                                 "'dev')))"),
                     1);
}

static void nobody_leads_to_one_place_twice(void **state)
{
    struct rk_route_input in = to("10.0.0.0/8"), peer = by_peer("10.0.0.0/8", A);
    char first[RK_XID_LEN + 1], second[RK_XID_LEN + 1];
    struct rk_err err = { 0 };

    (void)state;
    make(&in, first);
    in.net_id = "another";
    refuse(&in, RK_EXISTS,
           "failed to add route with prefix 10.0.0.0/8 - peer group dev already has this route");
    in.peer_groups.v = &ops_list;
    refuse(&in, RK_EXISTS,
           "failed to add route with prefix 10.0.0.0/8 - peer a from the group ops already has "
           "this route");
    refuse(&peer, RK_EXISTS,
           "failed to add route with prefix 10.0.0.0/8 - peer " A " already has this route");
    peer.peer = B;
    make(&peer, second);
    /* The route itself is not in its own way, but other routes are. */
    in = to("10.0.0.0/8");
    assert_int_equal(rk_route_update(pg, &actor, first, &in, &bell, &err), 0);
    peer.peer = A;
    refused(rk_route_update(pg, &actor, second, &peer, &bell, &err), RK_EXISTS, &err,
            "failed to add route with prefix 10.0.0.0/8 - peer " A " already has this route");
}

static void a_change_replaces_everything_and_says_what(void **state)
{
    struct rk_route_input in = to("10.0.0.0/8"), other = by_peer("10.0.0.0/9", B);
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    int64_t was;

    (void)state;
    make(&in, id);
    was = serial();
    assert_int_equal(rk_route_update(pg, &actor, id, &other, &bell, &err), 0);
    assert_int_equal(serial(), was + 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM route WHERE network = '10.0.0.0/9' AND "
                                 "peer_id = '" B "' AND peer_groups = '{}'"),
                     1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE code = 'route.update' AND "
                                 "changes->'network'->>'after' = '10.0.0.0/9'"),
                     1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM account_change c, account a WHERE c.serial "
                                 "= a.serial AND c.kind = 'route'"),
                     1);
    assert_int_equal(rk_route_delete(pg, &actor, id, &bell, &err), 0);
    assert_int_equal(serial(), was + 2);
    assert_int_equal(events("route.delete"), 1);
    assert_int_equal(rk_route_delete(pg, &actor, id, &bell, &err), RK_NOT_FOUND);
    assert_int_equal(rk_route_update(pg, &actor, id, &other, &bell, &err), RK_NOT_FOUND);
    assert_int_equal(serial(), was + 2);
}

static void events_tell_no_groups_from_a_peer(void **state)
{
    struct rk_route_input groups = to("10.0.0.0/8"), peer = by_peer("10.0.0.0/8", A);
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };

    (void)state;
    groups.peer_groups.n = 0;
    make(&groups, id);
    assert_int_equal(rk_route_delete(pg, &actor, id, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE meta->'peer_groups' = '[]'"), 2);
    make(&peer, id);
    assert_int_equal(rk_route_delete(pg, &actor, id, &bell, &err), 0);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM event WHERE meta->'peer_groups' = 'null'"),
                     2);
}

static void a_group_on_any_side_of_a_route_stays(void **state)
{
    char id[RK_XID_LEN + 1], used[RK_XID_LEN + 1];
    struct rk_str list;

    (void)state;
    make_group("used", used);
    list = rk_str(used);
    for (int side = 0; side < 3; side++) {
        struct rk_route_input in = to("10.0.0.0/8");
        struct rk_route_list *sides[] = { &in.groups, &in.peer_groups, &in.access_groups };
        struct rk_err err = { 0 };

        *sides[side] = (struct rk_route_list)ONE(list);
        make(&in, id);
        refused(rk_group_delete(pg, &actor, used, &bell, &err), RK_BAD_REQUEST, &err,
                "group has been linked to route: n1");
        assert_int_equal(rk_route_delete(pg, &actor, id, &bell, &err), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_route_leads_to_one_kind_of_place_by_one_kind_of_peers, fresh),
        cmocka_unit_test_setup(every_field_has_its_bounds, fresh),
        cmocka_unit_test_setup(what_a_route_names_exists, fresh),
        cmocka_unit_test_setup(domains_are_counted_and_read, fresh),
        cmocka_unit_test_setup(a_network_is_stored_without_its_host_bits, fresh),
        cmocka_unit_test_setup(nobody_leads_to_one_place_twice, fresh),
        cmocka_unit_test_setup(a_change_replaces_everything_and_says_what, fresh),
        cmocka_unit_test_setup(events_tell_no_groups_from_a_peer, fresh),
        cmocka_unit_test_setup(a_group_on_any_side_of_a_route_stays, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
