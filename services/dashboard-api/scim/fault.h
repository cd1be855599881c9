#pragma once

/*
 * What is wrong with a request in the words of RFC 7644, table 9. A fault travels as an rk_err
 * whose message begins with its word and ": "; the answer takes the two apart again. Any thread.
 */

#include "libcommon/base/err.h"
#include "libcommon/base/str.h"

enum scim_fault {
    SCIM_INVALID_FILTER,
    SCIM_INVALID_PATH,
    SCIM_INVALID_VALUE,
    SCIM_INVALID_SYNTAX,
    SCIM_MUTABILITY,
    SCIM_NO_TARGET,
    SCIM_TOO_MANY,
    SCIM_UNIQUENESS,
    SCIM_FAULTS,
};

/* Fills *err and returns RK_BAD_REQUEST (RK_EXISTS for SCIM_UNIQUENESS). */
int scim_fail(struct rk_err *err, enum scim_fault fault, const char *fmt, ...) RK_PRINTF(3, 4);
/* The word of a message and what follows it; the word is "" when it has none. */
void scim_fault_split(const char *message, const char **out_word, const char **out_detail);
