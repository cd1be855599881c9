// links: dashboard-api
/* The body of a posture check and its checks, from any bytes. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/base/prefix.h"
#include "services/dashboard-api/api/posture_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_good(const struct rk_posture_input *in)
{
    assert(in->name[0] != '\0');
    assert(in->nb_min || in->has_os || in->has_geo || in->has_ranges || in->has_processes);
    assert(!in->nb_min || in->nb_min[0] != '\0');
    assert(!in->has_geo || in->places_n > 0);
    for (size_t i = 0; in->has_geo && i < in->places_n; i++)
        assert(strlen(in->places[i].country) == 2);
    assert(!in->has_ranges || in->ranges_n > 0);
    for (size_t i = 0; in->has_ranges && i < in->ranges_n; i++) {
        struct rk_prefix range;

        assert(rk_prefix_parse(in->ranges[i], &range));
    }
    for (size_t i = 0; in->has_processes && i < in->processes_n; i++)
        assert(in->processes[i].linux_path[0] || in->processes[i].mac_path[0] ||
               in->processes[i].windows_path[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new((size_t)256 << 20);
    rk_auto(body_done) struct body body = { 0 };
    struct rk_posture_input in;
    struct rk_err err = { 0 };
    int r = posture_body_decode(rk_strn(p, n), arena, &body, &in, &err);

    if (r < 0) {
        assert(r == RK_BAD_REQUEST);
        return 0;
    }
    r = rk_posture_validate(&in, true, &err);
    assert(r == 0 || (r == RK_INVALID && err.msg[0] != '\0'));
    if (r == 0)
        check_good(&in);
    r = rk_posture_validate(&in, false, &err);
    assert(!in.has_geo || r == RK_PRECONDITION);
    return 0;
}
