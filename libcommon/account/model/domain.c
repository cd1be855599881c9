/* See domain.h. ASCII names are taken as they are; only others go through IDNA (UTS 46,
 * non-transitional). */

#include "libcommon/account/model/domain.h"

#include <idn2.h>

#include "libcommon/base/alloc.h"

#define MAX_LABEL 63
/* Each character takes at most four bytes as it is written, and at least one as it is stored. */
#define MAX_TEXT (4 * (RK_DOMAIN_SIZE - 1))

static bool is_ascii(struct rk_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static bool letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool label_valid(struct rk_str label, bool last)
{
    if (label.n == 0 || label.n > MAX_LABEL)
        return false;
    for (size_t i = 0; i < label.n; i++)
        if (!letter_or_digit(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
            return false;
    return letter_or_digit(label.p[label.n - 1]) &&
           (letter_or_digit(label.p[0]) || (!last && label.p[0] == '_'));
}

bool rk_domain_is_wildcard(const char *domain)
{
    return rk_str_starts(rk_str(domain), RK_STR("*."));
}

static bool name_valid(struct rk_str name)
{
    struct rk_str label;

    while (rk_str_next(&name, '.', &label))
        if (!label_valid(label, name.p == NULL))
            return false;
    return true;
}

/* What comes before the name stays before it. */
static bool convert(struct rk_str text, size_t before, char out[RK_DOMAIN_SIZE])
{
    rk_auto(rk_cfree) char *name = rk_strndup(text.p + before, text.n - before);
    char *ascii = NULL;
    bool fits;

    if (idn2_to_ascii_8z(name, &ascii, IDN2_NONTRANSITIONAL) != IDN2_OK)
        return false;
    fits = rk_str_copy(rk_str(ascii), out + before, RK_DOMAIN_SIZE - before);
    idn2_free(ascii);
    memcpy(out, text.p, before);
    return fits;
}

bool rk_domain_parse(struct rk_str text, char out[RK_DOMAIN_SIZE])
{
    size_t before = rk_str_starts(text, RK_STR("*.")) ? 2 : 0;
    char form[RK_DOMAIN_SIZE];

    if (text.n <= before || text.n > MAX_TEXT || memchr(text.p, 0, text.n))
        return false;
    if (is_ascii(text)) {
        if (!rk_str_copy(text, form, sizeof(form)))
            return false;
    } else if (!convert(text, before, form)) {
        return false;
    }
    for (char *c = form; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    if (!name_valid(rk_str(form + before)))
        return false;
    return rk_str_copy(rk_str(form), out, RK_DOMAIN_SIZE);
}

char *rk_domain_show(const char *domain)
{
    size_t before = rk_domain_is_wildcard(domain) ? 2 : 0;
    char *shown = NULL, *out;
    size_t n;

    if (idn2_to_unicode_8z8z(domain + before, &shown, 0) != IDN2_OK)
        return rk_strdup(domain);
    n = strlen(shown);
    out = rk_alloc(before + n + 1);
    memcpy(out, domain, before);
    memcpy(out + before, shown, n + 1);
    idn2_free(shown);
    return out;
}
