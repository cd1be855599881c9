/* See form.h. */

#include "services/dashboard-api/page/form.h"

#include "libcommon/base/encode.h"
#include "libcommon/crypto/box.h"
#include "libcommon/crypto/hash.h"
#include "services/dashboard-api/page/cookie.h"

#define TOKEN_FIELD "csrf"
#define TOKEN_LEN RK_B64URL_LEN(RK_SEAL_MAC)

static int
take_pair(struct rk_str pair, struct rk_arena *arena, struct form *out, struct rk_err *err)
{
    struct rk_str name;
    struct form_field *f;

    if (!rk_str_next(&pair, '=', &name))
        return 0;
    if (out->n == FORM_MAX_FIELDS)
        return rk_fail(err, RK_BAD_REQUEST, "too many form fields");
    f = &out->field[out->n];
    f->name = route_unescape(arena, name, true);
    f->value = route_unescape(arena, pair, true);
    if (!rk_utf8_valid(rk_str(f->name)) || !rk_utf8_valid(rk_str(f->value)))
        return rk_fail(err, RK_BAD_REQUEST, "form field is not UTF-8");
    for (size_t i = 0; i < out->n; i++)
        if (strcmp(out->field[i].name, f->name) == 0)
            return rk_fail(err, RK_BAD_REQUEST, "form field %.64s is given twice", f->name);
    out->n++;
    return 0;
}

int form_parse(struct rk_str text, struct rk_arena *arena, struct form *out, struct rk_err *err)
{
    struct rk_str pair;

    out->n = 0;
    if (text.n > FORM_MAX_BODY)
        return rk_fail(err, RK_BAD_REQUEST, "form is too large");
    if (text.n == 0)
        return 0;
    if (memchr(text.p, '\0', text.n))
        return rk_fail(err, RK_BAD_REQUEST, "form holds a NUL");
    while (rk_str_next(&text, '&', &pair)) {
        int r = pair.n > 0 ? take_pair(pair, arena, out, err) : 0;

        if (r < 0)
            return r;
    }
    return 0;
}

static const struct form_field *find(const struct form *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->field[i].name, name) == 0)
            return &f->field[i];
    return NULL;
}

const char *form_get(const struct form *f, const char *name)
{
    const struct form_field *field = find(f, name);

    return field ? field->value : "";
}

bool form_has(const struct form *f, const char *name)
{
    return find(f, name) != NULL;
}

static bool token_of(const struct call *c,
                     unsigned which,
                     const char *cookie,
                     const char *purpose,
                     char out[TOKEN_LEN + 1])
{
    const char *text = rk_arena_printf(c->arena, "form\n%s\n%s", cookie, purpose);
    uint8_t hash[RK_SEAL_MAC];

    if (!rk_seal_mac(c->seal, which, rk_str(text), hash))
        return false;
    rk_b64url_encode(hash, sizeof(hash), out);
    return true;
}

void form_put_token(struct sheet *s, const char *purpose)
{
    char token[TOKEN_LEN + 1] = "";

    (void)token_of(s->c, 0, cookie_page_make(s->c), purpose, token);
    page_hidden(s, TOKEN_FIELD, token);
}

/*
 * A browser that says where a form came from is believed; one that does not has the token alone. A
 * page with our Referrer-Policy posts with "Origin: null".
 */
static bool from_ourselves(const struct call *c)
{
    const struct call_head *h = &c->head;

    if (h->fetch_site[0] != '\0')
        return strcmp(h->fetch_site, "same-origin") == 0;
    if (h->origin[0] != '\0' && strcmp(h->origin, "null") != 0)
        return strcmp(h->origin, cookie_origin(c)) == 0;
    return true;
}

/* By us, or by a replica with the key of before. */
static bool
is_token(const struct call *c, const char *cookie, const char *purpose, const char *token)
{
    char ours[TOKEN_LEN + 1];

    for (unsigned i = 0; token_of(c, i, cookie, purpose, ours); i++)
        if (rk_const_eq_str(rk_str(token), rk_str(ours)))
            return true;
    return false;
}

int form_take(struct call *c, const char *purpose, struct form *out, struct rk_err *err)
{
    struct rk_str rest = rk_str(c->head.content_type), type;
    const char *cookie = cookie_page(c);
    int r;

    if (!rk_str_next(&rest, ';', &type) ||
        !rk_str_ieq(rk_str_trim(type), RK_STR("application/x-www-form-urlencoded")))
        return rk_fail(err, RK_BAD_REQUEST, "not a form");
    r = form_parse(c->body, c->arena, out, err);
    if (r < 0)
        return r;
    if (!cookie || !from_ourselves(c) || !is_token(c, cookie, purpose, form_get(out, TOKEN_FIELD)))
        return rk_fail(err, RK_DENIED, "the form did not come from our page");
    return 0;
}
