// links: dashboard-api
/* The body of a policy and its checks, from any bytes. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "services/dashboard-api/api/policy_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_rule(const struct rk_policy_rule_input *rule)
{
    assert(strcmp(rule->action, "accept") == 0 || strcmp(rule->action, "drop") == 0);
    assert(rule->source.has_groups != rule->source.has_resource);
    assert(rule->destination.has_groups != rule->destination.has_resource);
    assert(rule->ports_n == 0 || rule->ranges_n == 0);
    for (size_t i = 0; i < rule->ports_n; i++)
        assert(rule->ports[i].n > 0 && rule->ports[i].n <= 32 * 1024 * 1024);
    for (size_t i = 0; i < rule->ranges_n; i++)
        assert(rule->ranges[i].start >= 1 && rule->ranges[i].end <= 65535);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new((size_t)256 << 20);
    rk_auto(body_done) struct body body = { 0 };
    struct rk_policy_input in;
    struct rk_err err = { 0 };
    int r = policy_body_decode(rk_strn(p, n), arena, &body, &in, &err);

    if (r < 0) {
        assert(r == RK_BAD_REQUEST);
        return 0;
    }
    r = rk_policy_validate(&in, &err);
    assert(r == 0 || (r == RK_INVALID && err.msg[0] != '\0'));
    for (size_t i = 0; r == 0 && i < in.rules_n; i++)
        check_rule(&in.rules[i]);
    return 0;
}
