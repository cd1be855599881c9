/* Lengths are varints; readers that know one byte of them only ever meet short ids. */

#include "libcommon/account/rules/subject.h"

#include <string.h>

#include "libcommon/base/encode.h"

#define FIELD_USER (1 << 3 | 2)
#define FIELD_CONNECTOR (2 << 3 | 2)
#define MSG_MAX 380 /* its base64 fits RK_USER_ID_MAX */

static size_t put_field(uint8_t *p, uint8_t tag, const char *s, size_t n)
{
    size_t at = 0;

    p[at++] = tag;
    if (n > 127) {
        p[at++] = (uint8_t)(n | 128);
        p[at++] = (uint8_t)(n >> 7);
    } else {
        p[at++] = (uint8_t)n;
    }
    memcpy(p + at, s, n);
    return at + n;
}

bool rk_subject_encode(const char *user_id, const char *connector_id, char out[RK_USER_ID_MAX])
{
    uint8_t msg[MSG_MAX];
    char b64[RK_B64_LEN(sizeof(msg)) + 1];
    size_t a = strlen(user_id), b = strlen(connector_id), n, i;

    if (a >= RK_SUBJECT_PART_MAX || b >= RK_SUBJECT_PART_MAX || a + b + 6 > sizeof(msg))
        return false;
    n = put_field(msg, FIELD_USER, user_id, a);
    n += put_field(msg + n, FIELD_CONNECTOR, connector_id, b);
    rk_b64_encode(msg, n, b64);
    for (i = 0; b64[i] && b64[i] != '='; i++)
        out[i] = (char)(b64[i] == '+' ? '-' : b64[i] == '/' ? '_' : b64[i]);
    out[i] = '\0';
    return true;
}

/* The bytes behind the text; false when it is no base64. */
static bool unpack(struct rk_str s, uint8_t msg[MSG_MAX], size_t *out_n)
{
    char text[RK_B64_LEN(MSG_MAX) + 4];
    size_t n = 0;

    while (s.n > 0 && s.p[s.n - 1] == '=')
        s.n--;
    if (s.n == 0 || s.n > RK_B64_LEN(MSG_MAX))
        return false;
    for (; n < s.n; n++)
        text[n] = (char)(s.p[n] == '-' ? '+' : s.p[n] == '_' ? '/' : s.p[n]);
    while (n % 4 != 0)
        text[n++] = '=';
    return rk_b64_decode(rk_strn(text, n), msg, MSG_MAX, out_n);
}

/* One field that is a string, at *at; false when there is none or it goes past the end. */
static bool
take_field(const uint8_t *msg, size_t n, size_t *at, uint8_t *out_tag, struct rk_str *out)
{
    size_t len = 0;
    unsigned shift = 0;

    if (*at >= n)
        return false;
    *out_tag = msg[(*at)++];
    do {
        if (*at >= n || shift > 14)
            return false;
        len |= (size_t)(msg[*at] & 127) << shift;
        shift += 7;
    } while (msg[(*at)++] & 128);
    if (len > n - *at)
        return false;
    *out = rk_strn(msg + *at, len);
    *at += len;
    return true;
}

bool rk_subject_decode(const char *subject,
                       char out_user_id[RK_SUBJECT_PART_MAX],
                       char out_connector_id[RK_SUBJECT_PART_MAX])
{
    char user[RK_SUBJECT_PART_MAX] = "", connector[RK_SUBJECT_PART_MAX] = "";
    uint8_t msg[MSG_MAX], tag;
    struct rk_str field;
    size_t n, at = 0;

    if (!unpack(rk_str(subject), msg, &n))
        return false;
    while (at < n) {
        if (!take_field(msg, n, &at, &tag, &field) || !rk_utf8_valid(field))
            return false;
        if (tag == FIELD_USER
                ? !rk_str_copy(field, user, sizeof(user))
                : tag != FIELD_CONNECTOR || !rk_str_copy(field, connector, sizeof(connector)))
            return false;
    }
    if (!*user || !*connector)
        return false;
    memcpy(out_user_id, user, sizeof(user));
    memcpy(out_connector_id, connector, sizeof(connector));
    return true;
}
