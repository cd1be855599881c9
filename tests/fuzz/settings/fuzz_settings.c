/* Any text as a settings file: an error that says where, or a config that can be freed. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/conf/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct config {
    struct rk_common_config common;
    char *name;
    char *secret;
    int64_t count;
    bool on;
};

static const struct rk_setting rows[] = {
    { .key = "name", .type = RK_SET_STRING, .offset = offsetof(struct config, name) },
    { .key = "secret", .type = RK_SET_SECRET, .offset = offsetof(struct config, secret) },
    { .key = "count",
      .type = RK_SET_INT,
      .offset = offsetof(struct config, count),
      .min = -5,
      .max = 9 },
    { .key = "on", .type = RK_SET_BOOL, .offset = offsetof(struct config, on) },
};
static const struct rk_settings_table table = { "test", "test", rows, RK_COUNT(rows), NULL };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c = { 0 };
    struct rk_err err = { 0 };

    if (rk_settings_parse(&table, &c, "file", rk_strn(data, size), &err) == 0)
        assert(c.count >= -5 && c.count <= 9 && c.name);
    else
        assert(err.code < 0 && err.msg[0]);
    rk_settings_done(&table, &c);
    return 0;
}
