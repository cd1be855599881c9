/* See page.h. The array is well-formed and compact: this program wrote it. */

#include "services/dashboard-api/json/page.h"

#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/json.h"
#include "services/dashboard-api/route/route.h"

#define MAX_LINKED_QUERY 500

/* === Parameters === */

static const char *parameter(struct rk_str query, struct rk_arena *arena, const char *name)
{
    struct rk_str part, key;

    while (rk_str_next(&query, '&', &part))
        if (rk_str_next(&part, '=', &key) && rk_str_eq(key, rk_str(name)))
            return route_text(arena, part.p ? part : RK_STR(""), true);
    return NULL;
}

static int
parse_number(const char *text, const char *name, uint64_t max, uint64_t *out, struct rk_err *err)
{
    if (!rk_str_u64(rk_str(text), out) || *out < 1 || *out > max)
        return rk_fail(err, RK_INVALID, "%s must be a number from 1 to %llu", name,
                       (unsigned long long)max);
    return 0;
}

static bool field_valid(struct rk_str s)
{
    if (s.n == 0 || s.n > PAGE_MAX_FIELD)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
              (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_'))
            return false;
    return true;
}

static int parse_sort(const char *text, struct page *out, struct rk_err *err)
{
    struct rk_str rest = rk_str(text), field;

    while (rk_str_next(&rest, ',', &field)) {
        struct page_sort s = { .field = field };

        if (rk_str_starts(field, RK_STR("-")))
            s = (struct page_sort){ .field = rk_strn(field.p + 1, field.n - 1), .down = true };
        if (out->sort_n == PAGE_MAX_SORT || !field_valid(s.field))
            return rk_fail(err, RK_INVALID,
                           "sort must name up to %d members, separated by commas, each with a "
                           "minus sign before it to turn its order",
                           PAGE_MAX_SORT);
        out->sort[out->sort_n++] = s;
    }
    return 0;
}

int page_parse(struct rk_str query, struct rk_arena *arena, struct page *out, struct rk_err *err)
{
    struct page p = { .page = 1, .q = "" };
    const char *page, *per, *q, *sort;
    int r = 0;

    *out = p;
    if (query.n == 0)
        return 0;
    page = parameter(query, arena, "page");
    per = parameter(query, arena, "per_page");
    q = parameter(query, arena, "q");
    sort = parameter(query, arena, "sort");
    p.asked = page || per || q || sort;
    if (page || per)
        p.per = PAGE_DEFAULT;
    if (page)
        r = parse_number(page, "page", UINT32_MAX, &p.page, err);
    if (r == 0 && per)
        r = parse_number(per, "per_page", PAGE_MAX, &p.per, err);
    if (r == 0 && q && strlen(q) > PAGE_MAX_Q)
        r = rk_fail(err, RK_INVALID, "q must not be longer than %d bytes", PAGE_MAX_Q);
    if (r == 0 && sort && sort[0] != '\0')
        r = parse_sort(sort, &p, err);
    if (r < 0)
        return r;
    if (q)
        p.q = q;
    *out = p;
    return 0;
}

/* === Walking JSON text === */

/* Behind the string that begins at i. */
static size_t skip_string(struct rk_str s, size_t i)
{
    for (i++; i < s.n && s.p[i] != '"'; i++)
        if (s.p[i] == '\\')
            i++;
    return i + 1;
}

static size_t skip_space(struct rk_str s, size_t i)
{
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\n' || s.p[i] == '\t' || s.p[i] == '\r'))
        i++;
    return i;
}

/* Behind the value that begins at i. */
static size_t skip_value(struct rk_str s, size_t i)
{
    unsigned depth = 0;

    for (; i < s.n; i++) {
        switch (s.p[i]) {
        case '"':
            i = skip_string(s, i) - 1;
            break;
        case '{':
        case '[':
            depth++;
            continue;
        case '}':
        case ']':
            if (depth == 0)
                return i; /* a bare word ended before it */
            depth--;
            break;
        case ',':
            if (depth == 0)
                return i;
            continue;
        default:
            continue;
        }
        if (depth == 0)
            return i + 1;
    }
    return s.n;
}

/* The value of the object's own member; p NULL when it has none. */
static struct rk_str member(struct rk_str object, struct rk_str name)
{
    size_t i = 1, end;

    if (object.n == 0 || object.p[0] != '{')
        return (struct rk_str){ NULL, 0 };
    while (i < object.n && object.p[i] == '"') {
        struct rk_str key;

        end = skip_string(object, i);
        key = rk_strn(object.p + i + 1, end - i - 2);
        i = skip_space(object, end);
        i = skip_space(object, i + 1); /* the colon */
        end = skip_value(object, i);
        if (rk_str_eq(key, name))
            return rk_str_trim(rk_strn(object.p + i, end - i));
        i = skip_space(object, end);
        i = skip_space(object, i + 1); /* the comma */
    }
    return (struct rk_str){ NULL, 0 };
}

/* === Searching === */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_text(const char *a, const char *lowered, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != lowered[i])
            return false;
    return true;
}

/* `q` as it looks inside a string, lower case. A match begins at a whole character of the string,
 * never inside an escape. */
static bool string_has(struct rk_str s, struct rk_str q)
{
    for (size_t i = 0; i + q.n <= s.n; i++) {
        if (same_text(s.p + i, q.p, q.n))
            return true;
        if (s.p[i] == '\\')
            i++;
    }
    return false;
}

static bool element_has(struct rk_str e, struct rk_str q)
{
    for (size_t i = 0; i < e.n; i++) {
        size_t end, next;

        if (e.p[i] != '"')
            continue;
        end = skip_string(e, i);
        next = skip_space(e, end);
        if (!(next < e.n && e.p[next] == ':') && /* a name is no value */
            string_has(rk_strn(e.p + i + 1, end - i - 2), q))
            return true;
        i = end - 1;
    }
    return false;
}

static struct rk_str escaped(const char *q, struct rk_arena *arena)
{
    rk_auto(rk_buf_done) struct rk_buf b = { 0 };
    struct rk_json j;
    char *text;

    rk_buf_init(&b, 16 * PAGE_MAX_Q);
    rk_json_init(&j, &b);
    rk_json_cstr(&j, NULL, q);
    text = rk_arena_strn(arena, rk_strn(b.p + 1, b.n - 2));
    for (char *p = text; *p; p++)
        *p = lower(*p);
    return rk_str(text);
}

/* === Sorting === */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "2026-01-02T03:04:05": what follows is a fraction and a Z. */
static bool is_time(struct rk_str s)
{
    static const char form[] = "0000-00-00T00:00:00";

    if (s.n < sizeof(form))
        return false;
    for (size_t i = 0; i < sizeof(form) - 1; i++)
        if (form[i] == '0' ? !is_digit(s.p[i]) : s.p[i] != form[i])
            return false;
    return true;
}

static int compare_times(struct rk_str a, struct rk_str b)
{
    for (size_t i = 0; i < a.n || i < b.n; i++) {
        /* The shorter fraction is the smaller one, as if zeros followed. */
        int x = i < a.n && a.p[i] != 'Z' ? a.p[i] : 0;
        int y = i < b.n && b.p[i] != 'Z' ? b.p[i] : 0;

        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

/* Both stand at a digit; moves both behind their numbers. */
static int compare_digits(struct rk_str a, size_t *i, struct rk_str b, size_t *j)
{
    size_t m, n;
    int c = 0;

    while (*i < a.n && a.p[*i] == '0')
        (*i)++;
    while (*j < b.n && b.p[*j] == '0')
        (*j)++;
    for (m = 0; *i + m < a.n && is_digit(a.p[*i + m]); m++)
        ;
    for (n = 0; *j + n < b.n && is_digit(b.p[*j + n]); n++)
        ;
    if (m != n)
        c = m < n ? -1 : 1;
    else if (m > 0)
        c = memcmp(a.p + *i, b.p + *j, m);
    *i += m;
    *j += n;
    return c;
}

static int compare_strings(struct rk_str a, struct rk_str b)
{
    size_t i = 0, j = 0;

    if (is_time(a) && is_time(b))
        return compare_times(a, b);
    while (i < a.n && j < b.n) {
        int c;

        if (is_digit(a.p[i]) && is_digit(b.p[j])) {
            c = compare_digits(a, &i, b, &j);
        } else {
            c = (uint8_t)lower(a.p[i]) - (uint8_t)lower(b.p[j]);
            i++;
            j++;
        }
        if (c != 0)
            return c;
    }
    if (i < a.n || j < b.n)
        return i < a.n ? 1 : -1;
    return 0;
}

enum rank {
    RANK_BOOL,
    RANK_NUMBER,
    RANK_STRING,
    RANK_LAST, /* nothing that has an order */
};

static enum rank rank_of(struct rk_str v)
{
    if (v.n == 0)
        return RANK_LAST;
    switch (v.p[0]) {
    case '"':
        return RANK_STRING;
    case 't':
    case 'f':
        return RANK_BOOL;
    case 'n':
    case '{':
    case '[':
        return RANK_LAST;
    default:
        return RANK_NUMBER;
    }
}

static double number(struct rk_str v)
{
    char text[64];

    return rk_str_copy(v, text, sizeof(text)) ? strtod(text, NULL) : 0;
}

/* Both have the same rank, which is not the last. */
static int compare_ranked(enum rank rank, struct rk_str a, struct rk_str b)
{
    double x, y;

    switch (rank) {
    case RANK_BOOL:
        return (a.p[0] == 't') - (b.p[0] == 't');
    case RANK_NUMBER:
        x = number(a);
        y = number(b);
        return (x > y) - (x < y);
    case RANK_STRING:
        return compare_strings(rk_strn(a.p + 1, a.n - 2), rk_strn(b.p + 1, b.n - 2));
    case RANK_LAST:
        break;
    }
    return 0;
}

struct element {
    struct rk_str text;
    size_t at; /* place in the list */
    struct rk_str key[PAGE_MAX_SORT];
};

static int compare_elements(const void *x, const void *y, void *arg)
{
    const struct element *a = x, *b = y;
    const struct page *p = arg;

    for (size_t i = 0; i < p->sort_n; i++) {
        enum rank ra = rank_of(a->key[i]), rb = rank_of(b->key[i]);
        int c;

        if (ra != rb && (ra == RANK_LAST || rb == RANK_LAST))
            return ra == RANK_LAST ? 1 : -1; /* at the end in either order */
        c = ra != rb ? (int)ra - (int)rb : compare_ranked(ra, a->key[i], b->key[i]);
        if (c != 0)
            return p->sort[i].down ? -c : c;
    }
    return a->at < b->at ? -1 : 1;
}

/* === Putting it together === */

/* The elements that are wanted, in the list's order. Free *out. */
static size_t
collect(const struct page *p, struct rk_arena *arena, struct rk_str list, struct element **out)
{
    struct rk_str q = escaped(p->q, arena);
    struct element *all = NULL;
    size_t n = 0, cap = 0, i = skip_space(list, 1), at = 0;

    while (i < list.n && list.p[i] != ']') {
        size_t end = skip_value(list, i);
        struct rk_str text = rk_str_trim(rk_strn(list.p + i, end - i));

        if (q.n == 0 || element_has(text, q)) {
            if (n == cap) {
                cap = cap ? 2 * cap : 64;
                all = rk_realloc(all, cap * sizeof(*all));
            }
            all[n] = (struct element){ .text = text, .at = at };
            for (size_t k = 0; k < p->sort_n; k++)
                all[n].key[k] = member(text, p->sort[k].field);
            n++;
        }
        at++;
        i = skip_space(list, end);
        if (i < list.n && list.p[i] == ',')
            i = skip_space(list, i + 1);
    }
    *out = all;
    return n;
}

int page_apply(const struct page *p,
               struct rk_arena *arena,
               struct rk_buf *list,
               uint64_t *out_total,
               struct rk_err *err)
{
    rk_auto(rk_free) struct element *all = NULL;
    rk_auto(rk_buf_done) struct rk_buf old = { 0 };
    size_t n, from = 0, to;

    if (list->overflow)
        return rk_fail(err, RK_INTERNAL, "the list is larger than %zu bytes", list->max);
    old = *list;
    rk_buf_init(list, old.max);
    n = collect(p, arena, rk_buf_str(&old), &all);
    if (p->sort_n > 0 && n > 1)
        qsort_r(all, n, sizeof(*all), compare_elements, (void *)(uintptr_t)p);
    to = n;
    if (p->per > 0) {
        uint64_t first = (p->page - 1) * p->per; /* both fit 32 bits */

        from = first < n ? (size_t)first : n;
        to = n - from > p->per ? from + (size_t)p->per : n;
    }
    rk_buf_put_u8(list, '[');
    for (size_t i = from; i < to; i++) {
        if (i > from)
            rk_buf_put_u8(list, ',');
        rk_buf_put_str(list, all[i].text);
    }
    rk_buf_put_u8(list, ']');
    *out_total = n;
    return 0;
}

/* As it came, without what would end the header's <...>. */
static void put_safe(struct rk_buf *b, struct rk_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];

        if (c <= ' ' || c >= 0x7f || c == '<' || c == '>' || c == '"')
            rk_buf_printf(b, "%%%02X", c);
        else
            rk_buf_put_u8(b, c);
    }
}

static void put_link(struct rk_buf *b,
                     const struct page *p,
                     struct rk_str query,
                     uint64_t page,
                     const char *relation)
{
    struct rk_str part;

    rk_buf_printf(b, "%s<?", b->n > 0 ? ", " : "");
    while (rk_str_next(&query, '&', &part)) {
        struct rk_str value = part, key;

        if (!rk_str_next(&value, '=', &key) || key.n == 0 || rk_str_eq(key, RK_STR("page")) ||
            rk_str_eq(key, RK_STR("per_page")))
            continue;
        put_safe(b, part);
        rk_buf_put_u8(b, '&');
    }
    rk_buf_printf(b, "page=%llu&per_page=%llu>; rel=\"%s\"", (unsigned long long)page,
                  (unsigned long long)p->per, relation);
}

const char *
page_link(const struct page *p, struct rk_str query, uint64_t total, struct rk_arena *arena)
{
    rk_auto(rk_buf_done) struct rk_buf b = { 0 };
    uint64_t last;

    if (p->per == 0 || query.n > MAX_LINKED_QUERY)
        return "";
    last = total == 0 ? 1 : (total + p->per - 1) / p->per;
    rk_buf_init(&b, 16 * 4 * MAX_LINKED_QUERY);
    put_link(&b, p, query, 1, "first");
    if (p->page > 1)
        put_link(&b, p, query, p->page - 1 < last ? p->page - 1 : last, "prev");
    if (p->page < last)
        put_link(&b, p, query, p->page + 1, "next");
    put_link(&b, p, query, last, "last");
    return rk_arena_strn(arena, rk_buf_str(&b));
}
