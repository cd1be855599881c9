/* DNS labels of peers: from a host name to one label, and what an agent may ask for beside it. */

#include <stdio.h>

#include "libcommon/account/store/int.h"

#define LABEL_CUT 59
#define LABEL_OCTETS 63
#define MAX_CODEPOINTS 256

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Capital letters of the Latin-1, Greek and Cyrillic blocks; others stay as they are. */
static uint32_t fold(uint32_t c)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7) ||
        (c >= 0x391 && c <= 0x3A9) || (c >= 0x410 && c <= 0x42F))
        return c + 32;
    return c >= 0x400 && c <= 0x40F ? c + 80 : c;
}

static uint32_t decode_one(const uint8_t *p, size_t len)
{
    uint32_t c = len == 1 ? p[0] : p[0] & (0xFFu >> (len + 1));
    size_t i;

    for (i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3F);
    return c;
}

/* Malformed bytes become a space, and so part of a run that ends as one '-'. */
static size_t decode(struct rk_str s, uint32_t *out, bool *out_ascii)
{
    const uint8_t *p = (const uint8_t *)s.p;
    size_t n = 0, i = 0;

    *out_ascii = true;
    while (i < s.n && n < MAX_CODEPOINTS) {
        size_t len = rk_utf8_len(p + i, s.n - i);

        out[n] = len ? fold(decode_one(p + i, len)) : ' ';
        if (out[n] >= 0x80)
            *out_ascii = false;
        n++;
        i += len ? len : 1;
    }
    return n;
}

/* RFC 3492, section 6.1. */
static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;

    delta = first ? delta / 700 : delta / 2;
    delta += delta / points;
    for (; delta > 455; k += 36)
        delta /= 35;
    return k + 36 * delta / (delta + 38);
}

static void put_number(struct rk_buf *out, uint32_t q, uint32_t bias)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    uint32_t k;

    for (k = 36;; k += 36) {
        uint32_t t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;

        if (q < t)
            break;
        rk_buf_put_u8(out, (uint8_t)digits[t + (q - t) % (36 - t)]);
        q = (q - t) / (36 - t);
    }
    rk_buf_put_u8(out, (uint8_t)digits[q]);
}

/* RFC 3492, section 6.3. At most 256 characters, so 32 bits are enough for delta (256 * 0x110000 <
 * 2^32). */
static void punycode(const uint32_t *in, size_t n, struct rk_buf *out)
{
    uint32_t code = 128, delta = 0, bias = 72, done = 0, basic;
    size_t i;

    rk_buf_put(out, "xn--", 4);
    for (i = 0; i < n; i++) {
        if (in[i] < 0x80) {
            rk_buf_put_u8(out, (uint8_t)in[i]);
            done++;
        }
    }
    basic = done;
    if (basic)
        rk_buf_put_u8(out, '-');
    while (done < n) {
        uint32_t next = UINT32_MAX;

        for (i = 0; i < n; i++) {
            if (in[i] >= code && in[i] < next)
                next = in[i];
        }
        delta += (next - code) * (done + 1);
        code = next;
        for (i = 0; i < n; i++) {
            delta += in[i] < code;
            if (in[i] != code)
                continue;
            put_number(out, delta, bias);
            bias = adapt(delta, done + 1, done == basic);
            delta = 0;
            done++;
        }
        delta++;
        code++;
    }
}

bool rk_dns_label(struct rk_str hostname, char out[RK_LABEL_MAX])
{
    rk_auto(rk_buf_done) struct rk_buf ascii;
    uint32_t points[MAX_CODEPOINTS];
    struct rk_str rest = hostname, first = { NULL, 0 };
    bool only_ascii, in_run = false;
    size_t n, i, to = 0;

    rk_buf_init(&ascii, 16 * MAX_CODEPOINTS);
    if (hostname.n == 0 || !rk_str_next(&rest, '.', &first))
        return false;
    n = decode(first, points, &only_ascii);
    if (only_ascii) {
        for (i = 0; i < n; i++)
            rk_buf_put_u8(&ascii, (uint8_t)points[i]);
    } else {
        punycode(points, n, &ascii);
    }
    for (i = 0; i < ascii.n && to < LABEL_CUT; i++) {
        char c = (char)ascii.p[i];

        if (is_alnum(c) || c == '-') {
            out[to++] = lower(c);
            in_run = false;
        } else if (!in_run) {
            out[to++] = '-';
            in_run = true;
        }
    }
    out[to] = '\0';
    return to > 0;
}

void peer_label_for(const char *label, bool suffixed, const uint8_t ip4[4], char out[RK_LABEL_MAX])
{
    char suffix[10] = "";
    int n = 0;

    if (suffixed)
        n = snprintf(suffix, sizeof(suffix), "-%u-%u", ip4[2], ip4[3]);
    snprintf(out, RK_LABEL_MAX, "%.*s%s", LABEL_OCTETS - n, label, suffix);
}

/* One part between dots: letters, digits, '-' and '_', a letter or digit at both ends; parts before
 * the last may begin with '_'. */
static bool extra_part(struct rk_str s, bool last)
{
    size_t i;

    if (s.n == 0 || s.n > LABEL_OCTETS)
        return false;
    if (!is_alnum(s.p[0]) && (last || s.p[0] != '_'))
        return false;
    if (s.n > 1 && !is_alnum(s.p[s.n - 1]))
        return false;
    for (i = 0; i < s.n; i++) {
        if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
            return false;
    }
    return true;
}

bool peer_extra_label(struct rk_str s, char out[PEER_EXTRA_LABEL_MAX])
{
    struct rk_str rest = s, part;

    if (s.n == 0 || s.n >= PEER_EXTRA_LABEL_MAX)
        return false;
    if (rk_str_starts(s, RK_STR("*.")))
        rest = rk_strn(s.p + 2, s.n - 2);
    if (rest.n == 0 || rest.p[rest.n - 1] == '.')
        return false;
    while (rk_str_next(&rest, '.', &part)) {
        if (!extra_part(part, rest.p == NULL))
            return false;
    }
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}
