/* The rules of networks, their resources and routers against a real server. */

#include "libcommon/account/rules/network.h"
#include "libcommon/account/peer/peers.h"
#include "libcommon/account/rules/resource.h"
#include "libcommon/account/rules/router.h"
#include "tests/support/account_rules.h"

static char network[RK_XID_LEN + 1], other[RK_XID_LEN + 1];
static char dev[RK_XID_LEN + 1], ops[RK_XID_LEN + 1];

static void make_network(const char *name, char out[RK_XID_LEN + 1])
{
    struct rk_err err = { 0 };
    const struct rk_network_input in = { .name = name, .description = "" };

    done(rk_network_create(pg, &actor, &in, out, &bell, &err), &err);
}

static int fresh(void **state)
{
    if (account_fresh(state) < 0)
        return -1;
    two_peers();
    make_group_of("dev", A, dev);
    make_group_of("ops", B, ops);
    make_network("net", network);
    make_network("other", other);
    return 0;
}

static struct rk_resource_input at(const char *name, const char *address)
{
    return (struct rk_resource_input){
        .name = name, .description = "", .address = address, .enabled = true
    };
}

static void make_resource(const struct rk_resource_input *in, char id[RK_XID_LEN + 1])
{
    struct rk_err err = { 0 };
    int64_t was = serial();

    done(rk_resource_create(pg, &actor, network, in, id, &bell, &err), &err);
    assert_int_equal(serial(), was + 1);
    assert_int_equal((int64_t)bell.serial, was + 1);
}

static void a_network_alone_is_in_no_map(void **state)
{
    struct rk_err err = { 0 };
    const struct rk_network_input same = { .name = "net", .description = "d" };
    int64_t was = serial();

    (void)state;
    done(rk_network_update(pg, &actor, network, &same, &bell, &err), &err);
    assert_int_equal(serial(), was);
    assert_int_equal(events("network.create"), 2);
    assert_int_equal(events_with("network.update", "name", "net"), 1);
    refused(rk_network_update(pg, &actor, "nope", &same, &bell, &err), RK_NOT_FOUND, &err,
            "failed to get network: network: nope not found");
    refused(rk_network_delete(pg, &actor, "nope", &bell, &err), RK_NOT_FOUND, &err,
            "failed to get network: network: nope not found");
}

static void stored(const char *address, const char *type, const char *as)
{
    struct rk_resource_input in = at(address, address);
    char id[RK_XID_LEN + 1], sql[400];

    make_resource(&in, id);
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM network_resource WHERE id = '%s' AND type = '%s' AND "
             "coalesce(host(prefix) || '/' || masklen(prefix), domain) = '%s'",
             id, type, as);
    if (pg_ask(&fx, sql) != 1)
        fail_msg("%s is not stored as %s %s", address, type, as);
}

static void an_address_says_what_it_is(void **state)
{
    static const char *const bad[] = { "",   "a b",       "10.0.0.1/33", "-a-",      "a.b.",
                                       "a_", "10.0.0.0/", "fd00::/129",  " 10.0.0.1" };

    (void)state;
    stored("10.0.0.5", "host", "10.0.0.5/32");
    stored("10.0.0.6/32", "host", "10.0.0.6/32");
    stored("10.1.2.3/16", "subnet", "10.1.2.3/16");
    stored("0.0.0.0/0", "subnet", "0.0.0.0/0");
    stored("2001:DB8::1", "host", "2001:db8::1/128");
    stored("2001:db8::/32", "subnet", "2001:db8::/32");
    stored("*.Example.com", "domain", "*.Example.com");
    stored("b\xc3\xbc"
           "cher.de",
           "domain",
           "b\xc3\xbc"
           "cher.de");
    for (size_t i = 0; i < RK_COUNT(bad); i++) {
        struct rk_resource_input in = at("bad", bad[i]);
        char id[RK_XID_LEN + 1], message[128];
        struct rk_err err = { 0 };

        snprintf(message, sizeof(message), "failed to create network resource: invalid address %s",
                 bad[i]);
        refused(rk_resource_create(pg, &actor, network, &in, id, &bell, &err), RK_INVALID, &err,
                message);
    }
}

static void a_resource_has_a_name_of_its_own_in_groups_that_exist(void **state)
{
    struct rk_resource_input in = at("h", "10.0.0.5"), second = at("i", "10.0.0.6");
    const struct rk_str unknown = RK_STR("zz");
    char id[RK_XID_LEN + 1], id2[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    int64_t was;

    (void)state;
    make_resource(&in, id);
    make_resource(&second, id2);
    was = serial();
    refused(rk_resource_create(pg, &actor, other, &in, id2, &bell, &err), RK_INVALID, &err,
            "failed to create network resource: resource with name h already exists");
    refused(rk_resource_update(pg, &actor, network, id2, &in, &bell, &err), RK_INVALID, &err,
            "failed to update network resource: new resource name already exists");
    refused(rk_resource_create(pg, &actor, "nope", &second, id2, &bell, &err), RK_NOT_FOUND, &err,
            "failed to create network resource: failed to get network: network: nope not found");
    in.groups = &unknown;
    in.groups_n = 1;
    refused(rk_resource_update(pg, &actor, network, id, &in, &bell, &err), RK_NOT_FOUND, &err,
            "failed to update network resource: failed to update resource groups: failed to add "
            "resource to group: error adding resource to group: group: zz not found");
    in.name = "new";
    refused(rk_resource_create(pg, &actor, network, &in, id, &bell, &err), RK_NOT_FOUND, &err,
            "failed to create network resource: failed to add resource to group: error adding "
            "resource to group: group: zz not found");
    refused(rk_resource_update(pg, &actor, network, "nope", &second, &bell, &err), RK_NOT_FOUND,
            &err,
            "failed to update network resource: failed to get network resource: network resource: "
            "nope not found");
    assert_int_equal(rk_resource_delete(pg, &actor, other, id, &bell, &err), RK_NOT_FOUND);
    assert_int_equal(serial(), was);
}

static void a_resource_comes_to_its_groups_and_leaves_them(void **state)
{
    const struct rk_str first = rk_str(dev), both[] = { rk_str(dev), rk_str(ops), rk_str(dev) };
    struct rk_resource_input in = at("s", "10.1.0.0/16");
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };

    (void)state;
    in.groups = both;
    in.groups_n = 3;
    make_resource(&in, id);
    assert_int_equal(touched("group"), 2);
    assert_int_equal(touched("network_resource"), 1);
    assert_int_equal(touched("network"), 1);
    assert_int_equal(events_with("resource.group.add", "resource_type", "subnet"), 2);
    in.groups = &first;
    in.groups_n = 1;
    in.address = "example.com";
    done(rk_resource_update(pg, &actor, network, id, &in, &bell, &err), &err);
    assert_int_equal(touched("group"), 1);
    assert_int_equal(events_with("resource.group.delete", "name", "ops"), 1);
    assert_int_equal(
        pg_ask(&fx, "SELECT count(*) FROM group_resource WHERE resource_type = 'domain'"), 1);
    assert_int_equal(rk_group_delete(pg, &actor, dev, &bell, &err), RK_BAD_REQUEST);
    assert_non_null(strstr(err.msg, "group has been linked to network resource: "));
    /* Another network takes it over. */
    done(rk_resource_update(pg, &actor, other, id, &in, &bell, &err), &err);
    assert_int_equal(rk_resource_delete(pg, &actor, network, id, &bell, &err), RK_NOT_FOUND);
    done(rk_resource_delete(pg, &actor, other, id, &bell, &err), &err);
    assert_int_equal(touched("group"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT count(*) FROM group_resource"), 0);
    assert_int_equal(events_with("network.resource.delete", "network_name", "other"), 1);
    done(rk_group_delete(pg, &actor, dev, &bell, &err), &err);
}

static void a_group_holds_resources_that_exist(void **state)
{
    struct rk_resource_input in = at("h", "10.0.0.5");
    const struct rk_str a = RK_STR(A), b = RK_STR(B);
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    struct rk_group_resource held = { .id = id, .type = "subnet" };
    struct rk_group_input group = {
        .name = "dev", .peers = &a, .peers_n = 1, .resources = &held, .resources_n = 1
    };
    char message[100];
    int64_t was;

    (void)state;
    make_resource(&in, id);
    snprintf(message, sizeof(message), "network resource: %s not found", id);
    refused(rk_group_update(pg, &actor, dev, &group, &bell, &err), RK_INVALID, &err, message);
    held.type = "host";
    /* A member that changes by the way does not hide the resource from the maps. */
    group.peers = &b;
    done(rk_group_update(pg, &actor, dev, &group, &bell, &err), &err);
    assert_int_equal(touched("group"), 1);
    assert_int_equal(touched("group_peer"), 2);
    assert_int_equal(events_with("resource.group.add", "resource_name", "h"), 1);
    was = serial();
    group.resources_n = 0;
    done(rk_group_update(pg, &actor, dev, &group, &bell, &err), &err);
    assert_int_equal(serial(), was + 1);
    assert_int_equal(touched("group"), 1);
    assert_int_equal(events_with("resource.group.delete", "resource_name", "h"), 1);
}

static void a_router_is_a_peer_or_groups_of_peers(void **state)
{
    const struct rk_str group = rk_str(ops), unknown = RK_STR("zz");
    struct rk_router_input in = { .peer = "", .metric = 9999, .enabled = true };
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    int64_t was = serial();

    (void)state;
    refused(rk_router_create(pg, &actor, network, &in, id, &bell, &err), RK_BAD_REQUEST, &err,
            "either peer or peer_groups must be provided");
    in.peer = A;
    in.peer_groups = &group;
    in.peer_groups_n = 1;
    refused(rk_router_create(pg, &actor, network, &in, id, &bell, &err), RK_BAD_REQUEST, &err,
            "peer and peer_groups cannot be set at the same time");
    in.peer = "";
    in.peer_groups = &unknown;
    refused(rk_router_create(pg, &actor, network, &in, id, &bell, &err), RK_INVALID, &err,
            "group id zz not found");
    in.peer_groups_n = 0;
    in.peer = "zz";
    refused(rk_router_create(pg, &actor, network, &in, id, &bell, &err), RK_INVALID, &err,
            "peer with id zz not found");
    in.peer = A;
    refused(rk_router_create(pg, &actor, "nope", &in, id, &bell, &err), RK_NOT_FOUND, &err,
            "failed to get network: network: nope not found");
    in.metric = -1;
    refused(rk_router_create(pg, &actor, network, &in, id, &bell, &err), RK_INVALID, &err,
            "metric should be between 1 and 9999");
    assert_int_equal(serial(), was);
    in.metric = 9999;
    done(rk_router_create(pg, &actor, network, &in, id, &bell, &err), &err);
    assert_int_equal(serial(), was + 1);
    assert_int_equal(touched("network_router"), 1);
    assert_int_equal(touched("network"), 1);
    assert_int_equal(events_with("network.router.create", "peer", A), 1);
    refused(rk_router_update(pg, &actor, network, "nope", &in, &bell, &err), RK_NOT_FOUND, &err,
            "failed to get network router: network router: nope not found");
    assert_int_equal(rk_router_update(pg, &actor, other, id, &in, &bell, &err), RK_NOT_FOUND);
    assert_int_equal(rk_router_delete(pg, &actor, other, id, &bell, &err), RK_NOT_FOUND);
    assert_int_equal(rk_peer_delete(pg, &actor, A, &bell, &err), RK_PRECONDITION);
    in.peer = "";
    in.peer_groups = &group;
    in.peer_groups_n = 1;
    done(rk_router_update(pg, &actor, network, id, &in, &bell, &err), &err);
    done(rk_peer_delete(pg, &actor, A, &bell, &err), &err);
    assert_int_equal(rk_group_delete(pg, &actor, ops, &bell, &err), RK_BAD_REQUEST);
    assert_non_null(strstr(err.msg, "group has been linked to network router: "));
    done(rk_router_delete(pg, &actor, network, id, &bell, &err), &err);
    done(rk_group_delete(pg, &actor, ops, &bell, &err), &err);
}

static void a_network_takes_everything_in_it_along(void **state)
{
    const struct rk_str group = rk_str(dev);
    const struct rk_router_input by = { .peer = A, .metric = 1 };
    struct rk_resource_input in = at("one", "10.0.0.1");
    char id[RK_XID_LEN + 1];
    struct rk_err err = { 0 };
    int64_t was;

    (void)state;
    in.groups = &group;
    in.groups_n = 1;
    make_resource(&in, id);
    in.name = "two";
    make_resource(&in, id);
    done(rk_router_create(pg, &actor, network, &by, id, &bell, &err), &err);
    was = serial();
    done(rk_network_delete(pg, &actor, network, &bell, &err), &err);
    assert_int_equal(serial(), was + 1);
    assert_int_equal(touched("network"), 1);
    assert_int_equal(touched("network_resource"), 2);
    assert_int_equal(touched("network_router"), 1);
    assert_int_equal(touched("group"), 1);
    assert_int_equal(events("network.resource.delete"), 2);
    assert_int_equal(events("resource.group.delete"), 2);
    assert_int_equal(events("network.router.delete"), 1);
    assert_int_equal(events_with("network.delete", "name", "net"), 1);
    assert_int_equal(pg_ask(&fx, "SELECT (SELECT count(*) FROM network_resource) + (SELECT "
                                 "count(*) FROM network_router) + (SELECT count(*) FROM "
                                 "group_resource)"),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_network_alone_is_in_no_map, fresh),
        cmocka_unit_test_setup(an_address_says_what_it_is, fresh),
        cmocka_unit_test_setup(a_resource_has_a_name_of_its_own_in_groups_that_exist, fresh),
        cmocka_unit_test_setup(a_resource_comes_to_its_groups_and_leaves_them, fresh),
        cmocka_unit_test_setup(a_group_holds_resources_that_exist, fresh),
        cmocka_unit_test_setup(a_router_is_a_peer_or_groups_of_peers, fresh),
        cmocka_unit_test_setup(a_network_takes_everything_in_it_along, fresh),
    };

    return cmocka_run_group_tests(tests, account_start, account_stop);
}
