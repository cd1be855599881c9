/* /api/openapi.json: the description of what this service answers, put into the program by the
 * build. */

#include "services/dashboard-api/api/api.h"

__asm__(".section .rodata\n"
        ".global openapi_begin\n"
        ".global openapi_end\n"
        ".type openapi_begin, @object\n"
        ".type openapi_end, @object\n"
        "openapi_begin:\n"
        ".incbin \"" OPENAPI_FILE "\"\n"
        "openapi_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char openapi_begin[], openapi_end[];

int openapi_get(struct call *c, struct rk_err *err)
{
    size_t n = (size_t)((uintptr_t)openapi_end - (uintptr_t)openapi_begin);

    (void)err;
    rk_json_raw(&c->json, NULL, rk_str_trim(rk_strn(openapi_begin, n)));
    return 0;
}
