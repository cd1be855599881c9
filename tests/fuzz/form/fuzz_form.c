// links: dashboard-api
/* Forms, and the language a browser likes, from any bytes. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "services/dashboard-api/page/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new((size_t)64 << 20);
    struct rk_err err = { 0 };
    struct form f;
    int r = form_parse(rk_strn(p, n), arena, &f, &err);

    assert(lang_of(rk_arena_strn(arena, rk_strn(p, n))) < LANG_END);
    if (r < 0) {
        assert(r == RK_BAD_REQUEST && err.msg[0] != '\0');
        return 0;
    }
    assert(f.n <= FORM_MAX_FIELDS);
    for (size_t i = 0; i < f.n; i++) {
        assert(rk_utf8_valid(rk_str(f.field[i].name)) && rk_utf8_valid(rk_str(f.field[i].value)));
        assert(strcmp(form_get(&f, f.field[i].name), f.field[i].value) == 0);
        assert(form_has(&f, f.field[i].name));
    }
    return 0;
}
