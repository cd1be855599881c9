// links: dashboard-api
/* A SCIM filter, and what is made of it, from any bytes. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "services/dashboard-api/scim/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new((size_t)16 << 20);
    struct scim_term terms[SCIM_TERMS_MAX];
    const struct scim_filter *f;
    struct rk_err err = { 0 };
    size_t count = 0;
    int r = scim_filter_parse(rk_strn(p, n), arena, &f, &err);

    if (r == 0)
        r = scim_filter_terms(f, terms, &count, &err);
    if (r < 0) {
        assert(r == RK_BAD_REQUEST && strncmp(err.msg, "invalidFilter: ", 15) == 0);
        return 0;
    }
    assert(count >= 1 && count <= SCIM_TERMS_MAX);
    for (size_t i = 0; i < count; i++)
        assert(terms[i].name.n > 0 && terms[i].value.p && rk_utf8_valid(terms[i].value));
    return 0;
}
