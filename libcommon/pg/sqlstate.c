#include "libcommon/pg/sqlstate.h"

#include <stddef.h>
#include <string.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/err.h"

bool pg_is_class(const char *state, const char *class)
{
    return strncmp(state, class, strlen(class)) == 0;
}

int pg_code_of(const char *state)
{
    static const struct {
        const char *prefix;
        int code;
    } rows[] = {
        { "08", RK_UNAVAILABLE },    { "57P", RK_UNAVAILABLE },
        { "53", RK_UNAVAILABLE },    { "57014", RK_UNAVAILABLE }, /* statement_timeout */
        { "25006", RK_UNAVAILABLE }, /* read-only: this server was just demoted */
        { "40001", RK_CONFLICT },    { "40P01", RK_CONFLICT },
        { "23505", RK_EXISTS },      { "23503", RK_NOT_FOUND },
    };
    size_t i;

    for (i = 0; i < RK_COUNT(rows); i++) {
        if (pg_is_class(state, rows[i].prefix))
            return rows[i].code;
    }
    return RK_INTERNAL;
}
