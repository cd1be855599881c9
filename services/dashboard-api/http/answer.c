/* See answer.h. */

#include "services/dashboard-api/http/answer.h"

#include "libcommon/base/json.h"

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

unsigned answer_status(int code)
{
    return table[row_of(code)].status;
}

unsigned answer_error(const struct rk_err *err, struct rk_buf *out)
{
    size_t row = row_of(err->code);
    char text[sizeof(err->msg)];
    struct rk_json j;

    (void)rk_str_copy(rk_str(table[row].wording == HIDDEN ? table[row].text : err->msg), text,
                      sizeof(text));
    if (table[row].wording == LOWER)
        for (char *p = text; *p; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p - 'A' + 'a');
    rk_buf_clear(out);
    out->overflow = false;
    rk_json_init(&j, out);
    rk_json_object(&j, NULL);
    rk_json_cstr(&j, "message", text);
    rk_json_uint(&j, "code", table[row].status);
    rk_json_object_end(&j);
    rk_buf_put_c(out, "\n");
    return table[row].status;
}
