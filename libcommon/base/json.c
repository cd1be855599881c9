#include "libcommon/base/json.h"

/* The writer remembers one bit a level: whether a comma is due. */

#include <assert.h>
#include <inttypes.h>

#include "libcommon/base/clock.h"

#define MAX_DEPTH 32

void rk_json_init(struct rk_json *j, struct rk_buf *out)
{
    *j = (struct rk_json){ .out = out };
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_string(struct rk_buf *out, struct rk_str v)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *p = (const uint8_t *)v.p;
    size_t i = 0, plain = 0;

    rk_buf_put_u8(out, '"');
    while (i < v.n) {
        char esc[7] = { '\\', 0 };
        size_t n;

        if (is_plain(p[i])) { /* most are */
            i++;
            continue;
        }
        n = rk_utf8_len(p + i, v.n - i);
        if (n > 1) {
            i += n;
            continue;
        }
        rk_buf_put(out, p + plain, i - plain);
        if (n == 0) {
            rk_buf_put_c(out, "\xef\xbf\xbd");
        } else {
            switch (p[i]) {
            case '"':
            case '\\':
                esc[1] = (char)p[i];
                break;
            case '\n':
                esc[1] = 'n';
                break;
            case '\r':
                esc[1] = 'r';
                break;
            case '\t':
                esc[1] = 't';
                break;
            default:
                memcpy(esc + 1, "u00", 3);
                esc[4] = hex[p[i] >> 4];
                esc[5] = hex[p[i] & 15];
            }
            rk_buf_put_c(out, esc);
        }
        plain = ++i;
    }
    rk_buf_put(out, p + plain, i - plain);
    rk_buf_put_u8(out, '"');
}

static void begin(struct rk_json *j, const char *key)
{
    if (j->depth > 0) {
        uint32_t bit = (uint32_t)1 << (j->depth - 1);

        if (j->has_member & bit)
            rk_buf_put_u8(j->out, ',');
        j->has_member |= bit;
    }
    if (key) {
        put_string(j->out, rk_str(key));
        rk_buf_put_u8(j->out, ':');
    }
}

static void open_container(struct rk_json *j, const char *key, char c)
{
    begin(j, key);
    assert(j->depth < MAX_DEPTH);
    j->depth++;
    j->has_member &= ~((uint32_t)1 << (j->depth - 1));
    rk_buf_put_u8(j->out, (uint8_t)c);
}

static void close_container(struct rk_json *j, char c)
{
    assert(j->depth > 0);
    j->depth--;
    rk_buf_put_u8(j->out, (uint8_t)c);
}

void rk_json_object(struct rk_json *j, const char *key)
{
    open_container(j, key, '{');
}

void rk_json_object_end(struct rk_json *j)
{
    close_container(j, '}');
}

void rk_json_array(struct rk_json *j, const char *key)
{
    open_container(j, key, '[');
}

void rk_json_array_end(struct rk_json *j)
{
    close_container(j, ']');
}

void rk_json_str(struct rk_json *j, const char *key, struct rk_str v)
{
    begin(j, key);
    put_string(j->out, v);
}

void rk_json_cstr(struct rk_json *j, const char *key, const char *v)
{
    if (v)
        rk_json_str(j, key, rk_str(v));
    else
        rk_json_null(j, key);
}

void rk_json_int(struct rk_json *j, const char *key, int64_t v)
{
    begin(j, key);
    rk_buf_printf(j->out, "%" PRId64, v);
}

void rk_json_uint(struct rk_json *j, const char *key, uint64_t v)
{
    begin(j, key);
    rk_buf_printf(j->out, "%" PRIu64, v);
}

void rk_json_bool(struct rk_json *j, const char *key, bool v)
{
    begin(j, key);
    rk_buf_put_c(j->out, v ? "true" : "false");
}

void rk_json_null(struct rk_json *j, const char *key)
{
    begin(j, key);
    rk_buf_put_c(j->out, "null");
}

void rk_json_time(struct rk_json *j, const char *key, int64_t us)
{
    char text[RK_TIME_LEN];

    rk_time_format(us, text);
    rk_json_str(j, key, rk_str(text));
}

void rk_json_raw(struct rk_json *j, const char *key, struct rk_str v)
{
    begin(j, key);
    rk_buf_put_str(j->out, v);
}
