#include "services/dashboard-api/api/policy_body.h"
#include "tests/support/test.h"

static void expect(const char *text, int code, const char *message)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new(1 << 20);
    rk_auto(body_done) struct body body = { 0 };
    struct rk_policy_input in;
    struct rk_err err = { 0 };
    int r = policy_body_decode(rk_str(text), arena, &body, &in, &err);

    if (r == 0)
        r = rk_policy_validate(&in, &err);
    assert_int_equal(r, code);
    if (message)
        assert_string_equal(err.msg, message);
}

/* One rule with the given members behind valid ones. */
static void rule(const char *members, int code, const char *message)
{
    char text[1024];

    snprintf(text, sizeof(text), "{\"name\":\"n\",\"rules\":[{%s}]}", members);
    expect(text, code, message);
}

#define SIDES "\"sources\":[\"a\"],\"destinations\":[\"b\"]"
#define TCP SIDES ",\"action\":\"accept\",\"protocol\":\"tcp\""

static void a_policy_needs_a_name_and_a_rule(void **state)
{
    (void)state;
    expect("{}", RK_INVALID, "policy name shouldn't be empty");
    expect("{\"name\":\"x\"}", RK_INVALID, "policy rules shouldn't be empty");
    expect("{\"name\":\"x\",\"rules\":[]}", RK_INVALID, "policy rules shouldn't be empty");
    expect("{\"name\":\"x\",\"rules\":{}}", RK_BAD_REQUEST, "couldn't parse JSON request");
    expect("{\"name\":\"x\",\"rules\":[1]}", RK_BAD_REQUEST, "couldn't parse JSON request");
}

static void each_side_is_groups_or_a_resource(void **state)
{
    (void)state;
    rule("\"sources\":[],\"sourceResource\":{}", RK_INVALID,
         "specify either sources or  source resources, not both");
    rule("\"sources\":[],\"destinations\":[],\"destinationResource\":{\"id\":\"x\"}", RK_INVALID,
         "specify either destinations or  destination resources, not both");
    rule("\"sources\":[]", RK_INVALID,
         "specify either sources or source resources and destinations or destination resources");
    rule("\"sources\":null,\"destinations\":[]", RK_INVALID,
         "specify either sources or source resources and destinations or destination resources");
    rule("\"sources\":[],\"destinations\":[],\"action\":\"accept\",\"protocol\":\"all\"", 0, NULL);
    rule("\"sourceResource\":{\"id\":\"p\",\"type\":\"peer\"},\"destinations\":[],\"action\":"
         "\"drop\",\"protocol\":\"udp\"",
         0, NULL);
}

static void action_and_protocol_are_known_ones(void **state)
{
    (void)state;
    rule(SIDES ",\"action\":\"allow\",\"protocol\":\"tcp\"", RK_INVALID, "unknown action type");
    rule(SIDES ",\"action\":\"accept\",\"protocol\":\"sctp\"", RK_INVALID,
         "unknown protocol type: sctp");
}

static void ports_are_within_range_and_fit_the_protocol(void **state)
{
    (void)state;
    rule(TCP ",\"ports\":[\"80\",\"99999\"]", RK_INVALID, "valid port value is in 1..65535 range");
    rule(TCP ",\"ports\":[\"0\"]", RK_INVALID, "valid port value is in 1..65535 range");
    rule(TCP ",\"ports\":[\"-1\"]", RK_INVALID, "valid port value is in 1..65535 range");
    rule(TCP ",\"ports\":[80]", RK_BAD_REQUEST, "couldn't parse JSON request");
    rule(TCP ",\"ports\":[\"80\"],\"port_ranges\":[{\"start\":1,\"end\":2}]", RK_INVALID,
         "specify either individual ports or port ranges, not both");
    rule(TCP ",\"port_ranges\":[{\"start\":0,\"end\":2}]", RK_INVALID,
         "valid port value is in 1..65535 range");
    rule(TCP ",\"port_ranges\":[{\"start\":1,\"end\":65536}]", RK_INVALID,
         "valid port value is in 1..65535 range");
    rule(TCP ",\"port_ranges\":[{\"start\":1.5,\"end\":2}]", RK_BAD_REQUEST, NULL);
    rule(TCP ",\"port_ranges\":[{\"start\":9,\"end\":2}]", 0, NULL);
    rule(TCP ",\"ports\":[],\"port_ranges\":[{\"start\":1,\"end\":2}]", 0, NULL);
    rule(SIDES ",\"action\":\"accept\",\"protocol\":\"icmp\",\"ports\":[\"80\"]", RK_INVALID,
         "for all or icmp protocol ports is not allowed");
}

static void every_source_of_an_ssh_rule_is_authorized_once_one_is(void **state)
{
#define SSH SIDES ",\"action\":\"accept\",\"protocol\":\"netbird-ssh\""
    (void)state;
    rule(SSH, 0, NULL);
    rule(SSH ",\"authorized_groups\":{\"z\":[\"root\"]}", RK_INVALID,
         "authorized group for netbird-ssh protocol should be specified for each source group");
    rule(SSH ",\"authorized_groups\":{\"a\":[\"root\"]}", 0, NULL);
    rule(SSH ",\"authorized_groups\":{\"a\":null}", 0, NULL);
    rule(SSH ",\"authorized_groups\":{\"a\":\"root\"}", RK_BAD_REQUEST, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_needs_a_name_and_a_rule),
        cmocka_unit_test(each_side_is_groups_or_a_resource),
        cmocka_unit_test(action_and_protocol_are_known_ones),
        cmocka_unit_test(ports_are_within_range_and_fit_the_protocol),
        cmocka_unit_test(every_source_of_an_ssh_rule_is_authorized_once_one_is),
    };

    return RUN_TESTS(tests);
}
