/* A geo database of any bytes: it is refused, or everything in it can be asked for. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/geo/geo.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
const char *__lsan_default_suppressions(void);

/* The library (1.7.1) loses some 4 KB of its own when it refuses a file for its metadata. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libmaxminddb";
}

static void ask(struct rk_geo *g)
{
    static const char *const addresses[] = { "0.0.0.0", "192.0.2.1",       "192.0.2.200",
                                             "::",      "2001:db8::1",     "255.255.255.255",
                                             "fe80::1", "::ffff:10.0.0.1", "203.0.113.1" };
    rk_auto(rk_geo_lists_unref) struct rk_geo_lists *lists = rk_geo_lists_ref(g);
    const struct rk_geo_country *countries;
    size_t n;

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct rk_geo_place at;
        bool known = rk_geo_lookup(g, addresses[i], &at);

        assert(at.country[0] == '\0' || strlen(at.country) == RK_GEO_CODE_LEN);
        assert(known == (at.country[0] != '\0' || at.city[0] != '\0'));
    }
    assert(lists);
    countries = rk_geo_countries(lists, &n);
    for (size_t i = 0; i < n; i++) {
        assert(i == 0 || strcmp(countries[i - 1].name, countries[i].name) <= 0);
        assert(rk_geo_country_find(lists, rk_str(countries[i].code)) == &countries[i]);
        for (size_t k = 0; k < countries[i].cities_n; k++)
            assert(countries[i].cities[k].name[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    char path[64];

    assert(fd >= 0 && write(fd, p, n) == (ssize_t)n);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    {
        rk_auto(rk_geo_free) struct rk_geo *g = rk_geo_new(path, true);
        struct rk_err err = { 0 };
        int r = rk_geo_refresh(g, &err);

        assert(r == RK_GEO_LOADED || r == RK_INVALID);
        assert(rk_geo_loaded(g) == (r == RK_GEO_LOADED));
        if (r == RK_GEO_LOADED)
            ask(g);
    }
    close(fd);
    return 0;
}
