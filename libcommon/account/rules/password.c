/* See password.h. */

#include "libcommon/account/rules/password.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <wctype.h>

#include "libcommon/base/id.h"

#define MIN_CHARACTERS 8
#define MAX_BYTES 72

/* Which kinds of characters there are; kinds of all scripts, whatever the process's own locale. */
struct kinds {
    size_t characters;
    bool digit, upper, special;
};

static locale_t unicode;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_locale(void)
{
    unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static wint_t code_point(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;

    switch (n) {
    case 2:
        return (wint_t)((u[0] & 0x1f) << 6 | (u[1] & 0x3f));
    case 3:
        return (wint_t)((u[0] & 0x0f) << 12 | (u[1] & 0x3f) << 6 | (u[2] & 0x3f));
    case 4:
        return (wint_t)((u[0] & 0x07) << 18 | (u[1] & 0x3f) << 12 | (u[2] & 0x3f) << 6 |
                        (u[3] & 0x3f));
    default:
        return u[0];
    }
}

static struct kinds look(struct rk_str s)
{
    struct kinds k = { .characters = 0 };

    (void)pthread_once(&once, open_locale);
    for (size_t i = 0, n; i < s.n; i += n) {
        wint_t c;

        n = rk_utf8_len((const uint8_t *)s.p + i, s.n - i);
        n = n ? n : 1;
        c = code_point(s.p + i, n);
        k.characters++;
        if (c < 0x80 || !unicode) {
            k.digit |= c >= '0' && c <= '9';
            k.upper |= c >= 'A' && c <= 'Z';
            k.special |= c < 0x80 && !(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') &&
                         !(c >= 'a' && c <= 'z');
        } else {
            k.upper |= iswupper_l(c, unicode) != 0;
            k.special |= iswalnum_l(c, unicode) == 0;
        }
    }
    return k;
}

static enum rk_password_fault judge(struct rk_str password, struct kinds *k)
{
    *k = look(rk_strn(password.p, password.n > MAX_BYTES ? 0 : password.n));
    if (password.n == 0)
        return RK_PASSWORD_EMPTY;
    if (password.n > MAX_BYTES)
        return RK_PASSWORD_LONG;
    if (k->characters < MIN_CHARACTERS)
        return RK_PASSWORD_SHORT;
    return k->digit && k->upper && k->special ? RK_PASSWORD_GOOD : RK_PASSWORD_WEAK;
}

enum rk_password_fault rk_password_judge(struct rk_str password)
{
    struct kinds k;

    return judge(password, &k);
}

int rk_password_rules(const char *password, struct rk_err *err)
{
    char missing[80] = "";
    size_t n = 0;
    struct kinds k;

    switch (judge(rk_str(password), &k)) {
    case RK_PASSWORD_GOOD:
        return 0;
    case RK_PASSWORD_EMPTY:
        return rk_fail(err, RK_INVALID, "password is required");
    case RK_PASSWORD_SHORT:
        return rk_fail(err, RK_INVALID, "password must be at least %d characters long",
                       MIN_CHARACTERS);
    case RK_PASSWORD_LONG:
        return rk_fail(err, RK_INVALID, "password must be at most %d characters", MAX_BYTES);
    case RK_PASSWORD_WEAK:
        break;
    }
    const struct {
        bool has;
        const char *what;
    } wanted[] = {
        { k.digit, "one digit" },
        { k.upper, "one uppercase letter" },
        { k.special, "one special character" },
    };
    for (size_t i = 0; i < RK_COUNT(wanted); i++)
        if (!wanted[i].has)
            n += (size_t)snprintf(missing + n, sizeof(missing) - n, "%s%s", n ? ", " : "",
                                  wanted[i].what);
    return rk_fail(err, RK_INVALID, "password must contain at least %s", missing);
}

void rk_password_draw(char out[RK_PASSWORD_DRAWN + 1])
{
    /* Without what is easily taken for something else; one of each sort, the rest of the last. */
    static const char *const sorts[] = { "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789", "!#$%*+-=?@",
                                         "abcdefghijkmnopqrstuvwxyz" };

    for (size_t i = 0; i < RK_PASSWORD_DRAWN; i++) {
        const char *sort = sorts[i < RK_COUNT(sorts) ? i : RK_COUNT(sorts) - 1];

        out[i] = sort[rk_random_below(strlen(sort))];
    }
    for (size_t i = RK_PASSWORD_DRAWN - 1; i > 0; i--) { /* in any order */
        size_t k = (size_t)rk_random_below(i + 1);
        char c = out[i];

        out[i] = out[k];
        out[k] = c;
    }
    out[RK_PASSWORD_DRAWN] = '\0';
}
