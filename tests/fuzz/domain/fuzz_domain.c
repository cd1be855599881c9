/* Any text as a domain: what is stored is short ASCII and its own stored form, and can be shown. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/account/model/domain.h"
#include "libcommon/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char stored[RK_DOMAIN_SIZE], again[RK_DOMAIN_SIZE];
    char *shown;

    if (!rk_domain_parse(rk_strn(p, n), stored))
        return 0;
    for (const char *c = stored; *c; c++)
        assert(*c > ' ' && *c < 0x7f && !(*c >= 'A' && *c <= 'Z') && *c != '/');
    assert(rk_domain_parse(rk_str(stored), again) && strcmp(stored, again) == 0);
    shown = rk_domain_show(stored);
    assert(rk_utf8_valid(rk_str(shown)));
    rk_free(shown);
    return 0;
}
