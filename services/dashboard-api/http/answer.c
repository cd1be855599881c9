/* See answer.h. */

#include "services/dashboard-api/http/answer.h"

#include <stdio.h>

#include "libcommon/base/json.h"
#include "services/dashboard-api/page/page.h"

enum wording {
    LOWER,  /* the message in lower case */
    AS_IS,  /* the message as it was written */
    HIDDEN, /* `text` instead: the message is for the log */
};

static const struct {
    int code;
    unsigned status;
    enum wording wording;
    const char *text;
} table[] = {
    { RK_INVALID, 422, LOWER, NULL },
    { RK_NOT_FOUND, 404, LOWER, NULL },
    { RK_EXISTS, 409, LOWER, NULL },
    { RK_DENIED, 403, LOWER, NULL },
    { RK_EXHAUSTED, 429, LOWER, NULL },
    { RK_PRECONDITION, 412, LOWER, NULL },
    { RK_UNIMPLEMENTED, 501, LOWER, NULL },
    { RK_INTERNAL, 500, HIDDEN, "internal server error" },
    { RK_UNAVAILABLE, 503, HIDDEN, "service temporarily unavailable, try again" },
    { RK_CONFLICT, 503, HIDDEN, "service temporarily busy, try again" },
    { RK_UNAUTHENTICATED, 401, LOWER, NULL },
    { RK_BAD_REQUEST, 400, AS_IS, NULL },
};

static size_t row_of(int code)
{
    size_t internal = 0;

    for (size_t i = 0; i < RK_COUNT(table); i++) {
        if (table[i].code == code)
            return i;
        if (table[i].code == RK_INTERNAL)
            internal = i;
    }
    return internal;
}

static void write_rest(struct rk_json *j, const char *text, unsigned status)
{
    rk_json_cstr(j, "message", text);
    rk_json_uint(j, "code", status);
}

/* RFC 6749, 5.2, and the two of 4.1.2.1 that are the server's fault. */
static void write_oauth(struct rk_json *j, const char *text, unsigned status)
{
    rk_json_cstr(j, "error",
                 status == 503   ? "temporarily_unavailable"
                 : status >= 500 ? "server_error"
                 : status == 401 ? "invalid_client"
                                 : "invalid_request");
    rk_json_cstr(j, "error_description", text);
}

/* RFC 7644, 3.12: the status is a string. */
static void write_scim(struct rk_json *j, const char *text, unsigned status)
{
    char number[12];

    snprintf(number, sizeof(number), "%u", status);
    rk_json_array(j, "schemas");
    rk_json_cstr(j, NULL, "urn:ietf:params:scim:api:messages:2.0:Error");
    rk_json_array_end(j);
    rk_json_cstr(j, "status", number);
    rk_json_cstr(j, "detail", text);
}

void answer_scim(unsigned status, const char *text, struct rk_buf *out)
{
    struct rk_json j;

    rk_json_init(&j, out);
    rk_json_object(&j, NULL);
    write_scim(&j, text, status);
    rk_json_object_end(&j);
    rk_buf_put_c(out, "\n");
}

const char *answer_type(enum route_kind kind)
{
    static const char *const types[] = {
        [ROUTE_REST] = "application/json; charset=UTF-8",
        [ROUTE_OAUTH] = "application/json",
        [ROUTE_PAGE] = "text/html; charset=utf-8",
        [ROUTE_SCIM] = "application/scim+json",
    };

    return types[kind];
}

unsigned answer_error(enum route_kind kind,
                      const struct rk_err *err,
                      const char *accept_language,
                      struct rk_buf *out)
{
    static void (*const write[])(struct rk_json *, const char *, unsigned) = {
        [ROUTE_REST] = write_rest,
        [ROUTE_OAUTH] = write_oauth,
        [ROUTE_SCIM] = write_scim,
    };
    size_t row = row_of(err->code);
    char text[sizeof(err->msg)];
    struct rk_json j;

    (void)rk_str_copy(rk_str(table[row].wording == HIDDEN ? table[row].text : err->msg), text,
                      sizeof(text));
    if (table[row].wording == LOWER && kind == ROUTE_REST)
        for (char *p = text; *p; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p - 'A' + 'a');
    rk_buf_clear(out);
    out->overflow = false;
    if (kind == ROUTE_PAGE) { /* in words of its own */
        page_write_error(out, accept_language, table[row].status);
        return table[row].status;
    }
    rk_json_init(&j, out);
    rk_json_object(&j, NULL);
    write[kind](&j, text, table[row].status);
    rk_json_object_end(&j);
    rk_buf_put_c(out, "\n");
    return table[row].status;
}
