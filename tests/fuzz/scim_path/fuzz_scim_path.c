// links: dashboard-api
/* The path of a SCIM PATCH from any bytes, and the filter in it held against an element. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "services/dashboard-api/scim/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct rk_str name_itself(const void *element, struct rk_str name)
{
    (void)element;
    return name;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new((size_t)16 << 20);
    struct rk_err err = { 0 };
    struct scim_path path;
    int r = scim_path_parse(rk_strn(p, n), arena, &path, &err);

    if (r < 0) {
        assert(r == RK_BAD_REQUEST && strncmp(err.msg, "invalid", 7) == 0);
        return 0;
    }
    assert(path.attr.name.n > 0);
    if (path.filter)
        (void)scim_filter_matches(path.filter, name_itself, NULL);
    return 0;
}
