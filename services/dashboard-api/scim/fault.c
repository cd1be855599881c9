/* See fault.h. */

#include "services/dashboard-api/scim/fault.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const words[SCIM_FAULTS] = {
    [SCIM_INVALID_FILTER] = "invalidFilter",
    [SCIM_INVALID_PATH] = "invalidPath",
    [SCIM_INVALID_VALUE] = "invalidValue",
    [SCIM_INVALID_SYNTAX] = "invalidSyntax",
    [SCIM_MUTABILITY] = "mutability",
    [SCIM_NO_TARGET] = "noTarget",
    [SCIM_TOO_MANY] = "tooMany",
    [SCIM_UNIQUENESS] = "uniqueness",
};

int scim_fail(struct rk_err *err, enum scim_fault fault, const char *fmt, ...)
{
    char text[384];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return rk_fail(err, fault == SCIM_UNIQUENESS ? RK_EXISTS : RK_BAD_REQUEST, "%s: %s",
                   words[fault], text);
}

void scim_fault_split(const char *message, const char **out_word, const char **out_detail)
{
    *out_word = "";
    *out_detail = message;
    for (size_t i = 0; i < SCIM_FAULTS; i++) {
        size_t n = strlen(words[i]);

        if (strncmp(message, words[i], n) == 0 && message[n] == ':' && message[n + 1] == ' ') {
            *out_word = words[i];
            *out_detail = message + n + 2;
            return;
        }
    }
}
