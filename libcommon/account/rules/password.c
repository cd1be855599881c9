/* See password.h. */

#include "libcommon/account/rules/password.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/base/str.h"

/* The sorts of characters a password has. Letters of other alphabets count as letters, without
 * case. */
struct sorts {
    size_t chars;
    bool digit, upper, special;
};

static struct sorts look(const char *password)
{
    struct sorts s = { .chars = 0 };

    for (const unsigned char *p = (const unsigned char *)password; *p; p++) {
        if ((*p & 0xc0) == 0x80)
            continue; /* goes on */
        s.chars++;
        if (*p >= '0' && *p <= '9')
            s.digit = true;
        else if (*p >= 'A' && *p <= 'Z')
            s.upper = true;
        else if (*p < 0x80 && !(*p >= 'a' && *p <= 'z'))
            s.special = true;
    }
    return s;
}

int rk_password_rules(const char *password, struct rk_err *err)
{
    struct sorts s = look(password);
    const struct {
        bool has;
        const char *what;
    } wanted[] = { { s.digit, "one digit" },
                   { s.upper, "one uppercase letter" },
                   { s.special, "one special character" } };
    char missing[128] = "";
    size_t n = 0;

    if (s.chars < RK_PASSWORD_MIN_CHARS)
        return rk_fail(err, RK_INVALID, "password must be at least %d characters long",
                       RK_PASSWORD_MIN_CHARS);
    if (strlen(password) > RK_PASSWORD_MAX_BYTES)
        return rk_fail(err, RK_INVALID, "password must be at most %d characters long",
                       RK_PASSWORD_MAX_BYTES);
    for (size_t i = 0; i < RK_COUNT(wanted); i++)
        if (!wanted[i].has)
            n += (size_t)snprintf(missing + n, sizeof(missing) - n, "%s%s", n ? ", " : "",
                                  wanted[i].what);
    return n ? rk_fail(err, RK_INVALID, "password must contain at least %s", missing) : 0;
}
