/*
 * Filters, by recursive descent: `or` binds less than `and`, `and` less than `not`; operators and
 * names without regard to case.
 */

#include "services/dashboard-api/scim/filter.h"

#include <jansson.h>

#include "services/dashboard-api/scim/fault.h"

#define MAX_DEPTH 16

static int bad(const struct scim_scan *s, struct rk_err *err, const char *what)
{
    return scim_fail(err, SCIM_INVALID_FILTER, "%s at character %zu", what, s->at + 1);
}

static bool peek(const struct scim_scan *s, char c)
{
    return s->at < s->text.n && s->text.p[s->at] == c;
}

static bool eat(struct scim_scan *s, char c)
{
    if (!peek(s, c))
        return false;
    s->at++;
    return true;
}

static void skip_spaces(struct scim_scan *s)
{
    while (peek(s, ' '))
        s->at++;
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name(char c)
{
    return is_alpha(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '$';
}

static bool ends_word(const struct scim_scan *s, size_t at)
{
    return at >= s->text.n || !is_name(s->text.p[at]);
}

/* The word, when it comes next. */
static bool eat_word(struct scim_scan *s, const char *word)
{
    size_t n = strlen(word);

    if (s->text.n - s->at < n || !rk_str_ieq(rk_strn(s->text.p + s->at, n), rk_str(word)) ||
        !ends_word(s, s->at + n))
        return false;
    s->at += n;
    return true;
}

/* A name; "$ref" is the one that does not begin with a letter. */
static bool scan_name(struct scim_scan *s, struct rk_str *out)
{
    size_t from = s->at;

    if (from >= s->text.n || (!is_alpha(s->text.p[from]) && s->text.p[from] != '$'))
        return false;
    while (!ends_word(s, s->at))
        s->at++;
    *out = rk_strn(s->text.p + from, s->at - from);
    return true;
}

/* What may stand in a URN before its last colon: so much of RFC 8141 as schemas use. */
static bool is_urn(char c)
{
    return is_name(c) || c == ':' || c == '.' || c == '+' || c == '/' || c == '%';
}

bool scim_scan_attr(struct scim_scan *s, struct scim_path_attr *out)
{
    size_t from = s->at, end = from, colon = 0;

    *out = (struct scim_path_attr){ .sub = { NULL, 0 } };
    if (s->text.n - from > 4 && rk_str_ieq(rk_strn(s->text.p + from, 4), RK_STR("urn:"))) {
        for (; end < s->text.n && is_urn(s->text.p[end]); end++)
            if (s->text.p[end] == ':')
                colon = end;
        out->urn = rk_strn(s->text.p + from, colon - from);
        s->at = colon + 1;
    }
    if (!scan_name(s, &out->name))
        return false;
    return !eat(s, '.') || scan_name(s, &out->sub);
}

/* A quoted string, or a word: true, false, null, a number, or text that came without quotes. */
static int scan_value(struct scim_scan *s, struct scim_filter *f, struct rk_err *err)
{
    size_t from = s->at;
    json_t *text;

    if (!peek(s, '"')) {
        while (s->at < s->text.n && !strchr(" ()[]\"", s->text.p[s->at]))
            s->at++;
        if (s->at == from)
            return bad(s, err, "a value is missing");
        f->value = rk_strn(s->text.p + from, s->at - from);
        f->is_null = rk_str_ieq(f->value, RK_STR("null"));
        return 0;
    }
    for (s->at++; s->at < s->text.n && s->text.p[s->at] != '"'; s->at++)
        if (s->text.p[s->at] == '\\')
            s->at++;
    if (!eat(s, '"'))
        return bad(s, err, "a string does not end");
    text = json_loadb(s->text.p + from, s->at - from, JSON_DECODE_ANY, NULL);
    if (!text)
        return bad(s, err, "a string is malformed");
    f->value = rk_str(rk_arena_strdup(s->arena, json_string_value(text)));
    json_decref(text);
    return 0;
}

static struct scim_filter *new_filter(struct scim_scan *s, enum scim_filter_kind kind)
{
    struct scim_filter *f = rk_arena_alloc(s->arena, sizeof(*f));

    f->kind = kind;
    return f;
}

static int scan_comparison(struct scim_scan *s, struct scim_filter *f, struct rk_err *err)
{
    static const char *const ops[] = { "eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le" };

    if (!peek(s, ' '))
        return bad(s, err, "an operator is missing");
    skip_spaces(s);
    if (!f->left && eat_word(s, "pr")) {
        f->kind = SCIM_FILTER_PRESENT;
        return 0;
    }
    for (size_t i = 0; i < RK_COUNT(ops); i++) {
        if (!eat_word(s, ops[i]))
            continue;
        if (!peek(s, ' '))
            return bad(s, err, "a value is missing");
        skip_spaces(s);
        f->op = (enum scim_filter_op)i;
        return scan_value(s, f, err);
    }
    return bad(s, err, "there is no such operator");
}

static int scan_or(struct scim_scan *s, const struct scim_filter **out, struct rk_err *err);

static int scan_nested(struct scim_scan *s,
                       char close,
                       const char *missing,
                       const struct scim_filter **out,
                       struct rk_err *err)
{
    int r;

    if (s->depth == MAX_DEPTH)
        return bad(s, err, "too many brackets");
    s->depth++;
    skip_spaces(s);
    r = scan_or(s, out, err);
    if (r < 0)
        return r;
    s->depth--;
    skip_spaces(s);
    return eat(s, close) ? 0 : bad(s, err, missing);
}

/* attr op value, attr pr, attr[...] and attr[...].sub op value */
static int scan_attribute(struct scim_scan *s, const struct scim_filter **out, struct rk_err *err)
{
    struct scim_filter *f = new_filter(s, SCIM_FILTER_COMPARE);
    int r;

    if (!scim_scan_attr(s, &f->attr))
        return bad(s, err, "an attribute is missing");
    *out = f;
    if (!eat(s, '['))
        return scan_comparison(s, f, err);
    r = scan_nested(s, ']', "\"]\" is missing", &f->left, err);
    if (r < 0)
        return r;
    if (!eat(s, '.')) {
        f->kind = SCIM_FILTER_ELEMENT;
        return 0;
    }
    if (f->attr.sub.n > 0 || !scan_name(s, &f->attr.sub))
        return bad(s, err, "a sub-attribute is malformed");
    return scan_comparison(s, f, err);
}

static int scan_factor(struct scim_scan *s, const struct scim_filter **out, struct rk_err *err)
{
    size_t from = s->at;

    if (eat(s, '('))
        return scan_nested(s, ')', "\")\" is missing", out, err);
    if (eat_word(s, "not")) {
        skip_spaces(s);
        if (eat(s, '(')) {
            struct scim_filter *f = new_filter(s, SCIM_FILTER_NOT);

            *out = f;
            return scan_nested(s, ')', "\")\" is missing", &f->left, err);
        }
        s->at = from; /* an attribute of that name */
    }
    return scan_attribute(s, out, err);
}

/* Operands joined by `word`; a list that leans to the left, however long. */
static int
scan_joined(struct scim_scan *s,
            const char *word,
            enum scim_filter_kind kind,
            int (*operand)(struct scim_scan *, const struct scim_filter **, struct rk_err *),
            const struct scim_filter **out,
            struct rk_err *err)
{
    int r = operand(s, out, err);

    while (r == 0) {
        size_t from = s->at;
        struct scim_filter *f;

        skip_spaces(s);
        if (s->at == from || !eat_word(s, word) || !peek(s, ' ')) {
            s->at = from;
            return 0;
        }
        skip_spaces(s);
        f = new_filter(s, kind);
        f->left = *out;
        *out = f;
        r = operand(s, &f->right, err);
    }
    return r;
}

static int scan_and(struct scim_scan *s, const struct scim_filter **out, struct rk_err *err)
{
    return scan_joined(s, "and", SCIM_FILTER_AND, scan_factor, out, err);
}

static int scan_or(struct scim_scan *s, const struct scim_filter **out, struct rk_err *err)
{
    return scan_joined(s, "or", SCIM_FILTER_OR, scan_and, out, err);
}

int scim_scan_filter(struct scim_scan *s, const struct scim_filter **out, struct rk_err *err)
{
    return scan_nested(s, ']', "\"]\" is missing", out, err);
}

int scim_filter_parse(struct rk_str text,
                      struct rk_arena *a,
                      const struct scim_filter **out,
                      struct rk_err *err)
{
    struct scim_scan s = { .text = rk_str_trim(text), .arena = a };
    int r;

    if (text.n > SCIM_FILTER_MAX)
        return scim_fail(err, SCIM_INVALID_FILTER, "the filter is longer than %d bytes",
                         SCIM_FILTER_MAX);
    if (!rk_utf8_valid(s.text))
        return scim_fail(err, SCIM_INVALID_FILTER, "the filter is not UTF-8");
    r = scan_or(&s, out, err);
    if (r < 0)
        return r;
    return s.at == s.text.n ? 0 : bad(&s, err, "something follows the filter");
}

static const struct rk_str none = { NULL, 0 };

static int unsupported(struct rk_err *err)
{
    return scim_fail(err, SCIM_INVALID_FILTER, "only eq, joined by and, is supported");
}

/* type eq "x" inside []: which element is meant. Beside it `value eq` may stand when `term` takes
 * one. */
static int element_terms(const struct scim_filter *f, struct scim_term *term, struct rk_err *err)
{
    int r;

    if (f->kind == SCIM_FILTER_AND) {
        r = element_terms(f->left, term, err);
        return r < 0 ? r : element_terms(f->right, term, err);
    }
    if (f->kind != SCIM_FILTER_COMPARE || f->op != SCIM_EQ || f->left || f->is_null)
        return unsupported(err);
    if (rk_str_ieq(f->attr.name, RK_STR("type")) && f->attr.sub.n == 0 && !term->type.p)
        term->type = f->value;
    else if (rk_str_ieq(f->attr.name, RK_STR("value")) && f->attr.sub.n == 0 && !term->value.p)
        term->value = f->value;
    else
        return scim_fail(err, SCIM_INVALID_FILTER, "elements are found by type and value");
    return 0;
}

static int one_term(const struct scim_filter *f, struct scim_term *term, struct rk_err *err)
{
    int r;

    *term = (struct scim_term){ .name = f->attr.name, .sub = f->attr.sub, none, none };
    switch (f->kind) {
    case SCIM_FILTER_COMPARE:
        if (f->op != SCIM_EQ || f->is_null)
            return unsupported(err);
        if (f->left) {
            r = element_terms(f->left, term, err);
            if (r < 0)
                return r;
            if (term->value.p)
                return unsupported(err);
        }
        term->value = f->value;
        return 0;
    case SCIM_FILTER_ELEMENT:
        if (f->attr.sub.n > 0)
            return unsupported(err);
        term->sub = RK_STR("value");
        r = element_terms(f->left, term, err);
        return r < 0 || term->value.p ? r : unsupported(err);
    case SCIM_FILTER_AND:
    case SCIM_FILTER_OR:
    case SCIM_FILTER_NOT:
    case SCIM_FILTER_PRESENT:
        break;
    }
    return unsupported(err);
}

int scim_filter_terms(const struct scim_filter *f,
                      struct scim_term out[SCIM_TERMS_MAX],
                      size_t *out_n,
                      struct rk_err *err)
{
    size_t n = 0;
    int r;

    /* The list leans to the left; brackets may lean it otherwise, which is bounded by their depth.
     */
    for (; f->kind == SCIM_FILTER_AND; f = f->left) {
        struct scim_term more[SCIM_TERMS_MAX];
        size_t more_n;

        r = scim_filter_terms(f->right, more, &more_n, err);
        if (r < 0)
            return r;
        if (n + more_n >= SCIM_TERMS_MAX)
            return scim_fail(err, SCIM_INVALID_FILTER, "more than %d conditions", SCIM_TERMS_MAX);
        memcpy(&out[n], more, more_n * sizeof(more[0]));
        n += more_n;
    }
    r = one_term(f, &out[n], err);
    if (r < 0)
        return r;
    *out_n = n + 1;
    return 0;
}

int scim_filter_check(const struct scim_filter *f, struct rk_err *err)
{
    for (; f->kind == SCIM_FILTER_AND; f = f->left) {
        int r = scim_filter_check(f->right, err);

        if (r < 0)
            return r;
    }
    if (f->kind != SCIM_FILTER_COMPARE || f->op != SCIM_EQ || f->left || f->is_null ||
        f->attr.sub.n > 0)
        return unsupported(err);
    return 0;
}

bool scim_filter_matches(const struct scim_filter *f, scim_element_fn *get, const void *element)
{
    struct rk_str have;

    for (; f->kind == SCIM_FILTER_AND; f = f->left)
        if (!scim_filter_matches(f->right, get, element))
            return false;
    have = get(element, f->attr.name);
    return have.p && rk_str_ieq(have, f->value);
}
