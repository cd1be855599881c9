/* See answer.h. */

#include "services/dashboard-api/scim/answer.h"

#include <stdio.h>

#include "services/dashboard-api/scim/fault.h"

#define PATH "/api/scim/v2"

/* The codes that are for the person who set the directory up. Others are the server's trouble, and
 * answered where all of those are. */
static const struct {
    int code;
    unsigned status;
    const char *word; /* unless the message has its own */
} table[] = {
    { RK_BAD_REQUEST, 400, "" },
    { RK_INVALID, 400, "invalidValue" },
    { RK_PRECONDITION, 400, "mutability" },
    { RK_UNAUTHENTICATED, 401, "" },
    { RK_DENIED, 403, "" },
    { RK_NOT_FOUND, 404, "" },
    { RK_EXISTS, 409, "uniqueness" },
    { RK_EXHAUSTED, 429, "" },
};

bool scim_token_formed(struct rk_str authorization, struct rk_str *out_token)
{
    struct rk_str rest = authorization, scheme, token;

    if (!rk_str_next(&rest, ' ', &scheme) || !rk_str_next(&rest, ' ', &token) || rest.p ||
        !rk_str_ieq(scheme, RK_STR("bearer")) || !rk_pat_valid(RK_SCIM_PREFIX, token))
        return false;
    *out_token = token;
    return true;
}

static void write_error(struct call *c, unsigned status, const char *usual, const char *message)
{
    struct rk_json *j = &c->json;
    const char *word, *detail;
    char number[12];

    scim_fault_split(message, &word, &detail);
    snprintf(number, sizeof(number), "%u", status);
    rk_buf_clear(&c->out);
    c->out.overflow = false;
    rk_json_init(j, &c->out);
    rk_json_object(j, NULL);
    rk_json_array(j, "schemas");
    rk_json_cstr(j, NULL, "urn:ietf:params:scim:api:messages:2.0:Error");
    rk_json_array_end(j);
    rk_json_cstr(j, "status", number);
    if (word[0] == '\0')
        word = usual;
    if (word[0] != '\0')
        rk_json_cstr(j, "scimType", word);
    rk_json_cstr(j, "detail", detail);
    rk_json_object_end(j);
    c->status = status;
    c->headers_n = 0;
    if (status == 401)
        call_header(c, "WWW-Authenticate", "Bearer");
    if (status == 429)
        call_header(c, "Retry-After", "1");
}

/* For who reads the log, not for who asks; without it the answer is as good. */
static void log_refusal(struct call *c, const struct rk_scim *scim, const char *message)
{
    struct rk_err ignored = { 0 };
    char *text = rk_arena_printf(c->arena, "%s %s/%.64s: %s", c->route->method, c->route->group,
                                 c->var[0], message);

    if (rk_scim_log(c->pg, scim->id, RK_SCIM_ERROR, text, &ignored) < 0)
        return;
}

int scim_serve(struct call *c, scim_handler_fn *handler, struct rk_err *err)
{
    struct rk_scim scim = { .default_domain = c->config->dns_domain };
    struct rk_str token;
    int r = RK_UNAUTHENTICATED;

    c->no_store = true;
    if (!scim_token_formed(rk_str(c->head.authorization), &token))
        (void)rk_fail(err, r, "a token of an integration is required");
    else
        r = rk_scim_find(c->pg, token, &scim, err);
    if (r == 0) {
        r = handler(c, &scim, err);
        if (r < 0 && c->route->writes && r != RK_CONFLICT && r != RK_UNAVAILABLE)
            log_refusal(c, &scim, r == RK_INTERNAL ? "internal error" : err->msg);
    }
    for (size_t i = 0; r < 0 && i < RK_COUNT(table); i++) {
        if (table[i].code != r)
            continue;
        write_error(c, table[i].status, table[i].word, err->msg);
        return 0;
    }
    return r;
}

const char *scim_base(const struct call *c)
{
    return rk_arena_printf(c->arena, "%s%s", c->config->oidc.public_url, PATH);
}

/* === What is shown === */

/* A name of a list, without spaces and schema. */
static struct rk_str bare_name(struct rk_str name)
{
    name = rk_str_trim(name);
    if (name.n > 4 && rk_str_ieq(rk_strn(name.p, 4), RK_STR("urn:")))
        for (size_t i = name.n; i-- > 0;)
            if (name.p[i] == ':')
                return rk_strn(name.p + i + 1, name.n - i - 1);
    return name;
}

struct scim_select scim_select_read(struct call *c)
{
    const char *only = call_query(c, "attributes"), *but = call_query(c, "excludedAttributes");
    struct scim_select sel = { .exclude = !only || only[0] == '\0' };
    struct rk_str rest = rk_str(sel.exclude ? but : only), part;

    while (sel.n < SCIM_SELECT_MAX && rk_str_next(&rest, ',', &part)) {
        part = bare_name(part);
        if (part.n > 0)
            sel.name[sel.n++] = part;
    }
    return sel;
}

bool scim_select_wants(const struct scim_select *sel, const char *name, const char *sub)
{
    for (size_t i = 0; i < sel->n; i++) {
        struct rk_str rest = sel->name[i], top;

        if (!rk_str_next(&rest, '.', &top) || !rk_str_ieq(top, rk_str(name)))
            continue;
        /* The whole attribute is named, or this part of it. */
        if (!rest.p || (sub && rk_str_ieq(rest, rk_str(sub))))
            return !sel->exclude;
        if (!sub && !sel->exclude)
            return true;
    }
    return sel->exclude;
}

static int64_t number(struct call *c, const char *name, int64_t usual)
{
    const char *text = call_query(c, name);
    int64_t n;

    return text && rk_str_i64(rk_str(text), &n) ? n : usual;
}

struct scim_page scim_page_read(struct call *c)
{
    struct scim_page p = { .start = number(c, "startIndex", 1),
                           .count = number(c, "count", SCIM_PAGE_USUAL) };

    p.start = p.start < 1 ? 1 : p.start;
    p.count = p.count < 0 ? 0 : p.count > SCIM_PAGE_MAX ? SCIM_PAGE_MAX : p.count;
    return p;
}

int scim_terms_read(struct call *c,
                    struct scim_term out[SCIM_TERMS_MAX],
                    size_t *out_n,
                    struct rk_err *err)
{
    const char *text = call_query(c, "filter");
    const struct scim_filter *f;
    int r;

    *out_n = 0;
    if (!text || text[0] == '\0')
        return 0;
    r = scim_filter_parse(rk_str(text), c->arena, &f, err);
    return r < 0 ? r : scim_filter_terms(f, out, out_n, err);
}

void scim_term_once(struct rk_str value, struct rk_arena *a, const char **slot, bool *out_nobody)
{
    if (*slot && !rk_str_eq(rk_str(*slot), value))
        *out_nobody = true;
    *slot = rk_arena_strn(a, value);
}

/* === Lists and resources === */

void scim_list_begin(struct call *c)
{
    struct rk_json *j = &c->json;

    rk_json_object(j, NULL);
    rk_json_array(j, "schemas");
    rk_json_cstr(j, NULL, "urn:ietf:params:scim:api:messages:2.0:ListResponse");
    rk_json_array_end(j);
    rk_json_array(j, "Resources");
}

void scim_list_end(struct call *c, int64_t total, int64_t start, int64_t items)
{
    struct rk_json *j = &c->json;

    rk_json_array_end(j);
    rk_json_int(j, "totalResults", total);
    rk_json_int(j, "startIndex", start);
    rk_json_int(j, "itemsPerPage", items);
    rk_json_object_end(j);
}

static const char *location(struct call *c, const char *type, struct rk_str id)
{
    return rk_arena_printf(c->arena, "%s/%ss/%.*s", scim_base(c), type, RK_STR_FMT(id));
}

void scim_resource_begin(struct call *c, const char *urn, struct rk_str id)
{
    struct rk_json *j = &c->json;

    rk_json_object(j, NULL);
    rk_json_array(j, "schemas");
    rk_json_cstr(j, NULL, urn);
    rk_json_array_end(j);
    rk_json_str(j, "id", id);
}

void scim_resource_end(struct call *c,
                       const struct scim_select *sel,
                       const char *type,
                       struct rk_str id,
                       int64_t created_us,
                       int64_t updated_us,
                       int64_t version)
{
    struct rk_json *j = &c->json;
    char tag[32];

    if (scim_select_wants(sel, "meta", NULL)) {
        snprintf(tag, sizeof(tag), "W/\"%lld\"", (long long)version);
        rk_json_object(j, "meta");
        rk_json_cstr(j, "resourceType", type);
        rk_json_time(j, "created", created_us);
        rk_json_time(j, "lastModified", updated_us);
        rk_json_cstr(j, "location", location(c, type, id));
        rk_json_cstr(j, "version", tag);
        rk_json_object_end(j);
    }
    rk_json_object_end(j);
}

void scim_created(struct call *c, const char *type, const char *id)
{
    c->status = 201;
    call_header(c, "Location", location(c, type, rk_str(id)));
}
