/* Parameters to text. */

#include "libcommon/pg/value.h"

#include <assert.h>
#include <inttypes.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/encode.h"

#define MAX_BYTES ((size_t)256 << 20)

void pg_values_init(struct pg_values *v)
{
    *v = (struct pg_values){ .n = 0 };
    rk_buf_init(&v->text, MAX_BYTES);
}

void pg_values_done(struct pg_values *v)
{
    rk_buf_done(&v->text);
}

static void put_item(struct rk_buf *b, struct rk_str s)
{
    uint8_t *begin = rk_buf_reserve(b, 2 * s.n + 2), *at = begin;

    if (!at)
        return;
    *at++ = '"';
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            *at++ = '\\';
        *at++ = (uint8_t)s.p[i];
    }
    *at++ = '"';
    rk_buf_commit(b, (size_t)(at - begin));
}

static void put_array(struct rk_buf *b, const struct rk_str *items, size_t n)
{
    size_t i;

    rk_buf_put_u8(b, '{');
    for (i = 0; i < n; i++) {
        if (i)
            rk_buf_put_u8(b, ',');
        put_item(b, items[i]);
    }
    rk_buf_put_u8(b, '}');
}

static void put_bytea(struct rk_buf *b, struct rk_str s)
{
    uint8_t *at;

    rk_buf_put(b, "\\x", 2);
    at = rk_buf_reserve(b, 2 * s.n + 1);
    if (!at)
        return;
    rk_hex_encode(s.p, s.n, (char *)at);
    rk_buf_commit(b, 2 * s.n);
}

/* False for NULL. */
static bool put_value(struct rk_buf *b, const struct rk_pg_param *p)
{
    char time[RK_TIME_LEN];

    switch (p->type) {
    case RK_PG_NULL:
        return false;
    case RK_PG_TEXT:
        rk_buf_put_str(b, p->s);
        return true;
    case RK_PG_INT:
        rk_buf_printf(b, "%" PRId64, p->i);
        return true;
    case RK_PG_BOOL:
        rk_buf_put_u8(b, p->i ? 't' : 'f');
        return true;
    case RK_PG_TIME:
        if (p->i == RK_TIME_UNSET)
            return false;
        rk_time_format(p->i, time);
        rk_buf_put_c(b, time);
        return true;
    case RK_PG_BYTEA:
        put_bytea(b, p->s);
        return true;
    case RK_PG_TEXT_ARRAY:
        put_array(b, p->array, p->n);
        return true;
    }
    return false;
}

int pg_values_add(struct pg_values *v,
                  const struct rk_pg_param *params,
                  size_t n,
                  struct rk_err *err)
{
    size_t i;

    assert(v->n + n <= PG_MAX_PARAMS);
    for (i = 0; i < n; i++) {
        size_t at = v->text.n;

        if (!put_value(&v->text, &params[i])) {
            v->at[v->n++] = SIZE_MAX;
            continue;
        }
        if (v->text.n > at && memchr(v->text.p + at, 0, v->text.n - at))
            return rk_fail(err, RK_INVALID, "text with a NUL character");
        rk_buf_put_u8(&v->text, 0);
        v->at[v->n++] = at;
    }
    if (v->text.overflow)
        return rk_fail(err, RK_EXHAUSTED, "statement parameters are too large");
    return 0;
}

const char *const *pg_values_text(struct pg_values *v)
{
    size_t i;

    for (i = 0; i < v->n; i++)
        v->p[i] = v->at[i] == SIZE_MAX ? NULL : (const char *)v->text.p + v->at[i];
    return v->p;
}
