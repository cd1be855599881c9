// links: fleet
/* A scenario of the load generator, from any bytes. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/bench/fleet/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct rk_err err = { 0 };
    struct scenario s;
    int r = scenario_parse(rk_strn(p, n), "scenario", &s, &err);

    if (r < 0) {
        assert(r == RK_INVALID);
        assert(strncmp(err.msg, "scenario:", 9) == 0);
        return 0;
    }
    assert(s.agents >= 2 && s.agents <= SCENARIO_MAX_AGENTS);
    assert(s.groups >= 1 && s.groups <= s.agents / 2);
    assert(s.steps >= 1 && s.steps <= SCENARIO_MAX_STEPS && s.step[0].kind == STEP_JOIN);
    for (unsigned i = 0; i < s.steps; i++) {
        assert(s.step[i].kind < STEP_KINDS);
        assert(s.step[i].kind != STEP_RUN || s.step[i].for_ms >= 100);
        assert(s.step[i].share >= 0 && s.step[i].share <= 1);
        for (unsigned a = 0; a < ACTIVITIES; a++)
            assert(s.step[i].rate[a] >= 0 && s.step[i].rate[a] <= 10000000);
    }
    return 0;
}
