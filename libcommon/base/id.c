#include "libcommon/base/id.h"

/* Identifiers and kernel randomness. */

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/encode.h"

static const char base32hex[] = "0123456789abcdefghijklmnopqrstuv";

static pthread_once_t xid_once = PTHREAD_ONCE_INIT;
static uint8_t xid_process[5];
static _Atomic uint32_t xid_counter;

void rk_random(void *out, size_t n)
{
    uint8_t *p = out;

    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0) {
            if (errno == EINTR)
                continue;
            (void)fputs("getrandom failed\n", stderr);
            abort();
        }
        p += got;
        n -= (size_t)got;
    }
}

void rk_random_text(char out[RK_RANDOM_TEXT_LEN + 1])
{
    uint8_t bytes[32];

    _Static_assert(RK_B64URL_LEN(sizeof(bytes)) == RK_RANDOM_TEXT_LEN, "length of the text");
    rk_random(bytes, sizeof(bytes));
    rk_b64url_encode(bytes, sizeof(bytes), out);
}

uint64_t rk_random_below(uint64_t bound)
{
    uint64_t v, reject;

    assert(bound > 0);
    reject = (0 - bound) % bound; /* 2^64 mod bound: the uneven part at the bottom */
    do
        rk_random(&v, sizeof(v));
    while (v < reject);
    return v % bound;
}

static void xid_init(void)
{
    uint32_t start;

    rk_random(xid_process, sizeof(xid_process));
    rk_random(&start, sizeof(start));
    atomic_store(&xid_counter, start);
}

void rk_xid_new(char out[RK_XID_LEN + 1])
{
    uint32_t now, counter;
    uint8_t raw[12];
    uint32_t bits = 0;
    unsigned have = 0;
    size_t at = 0;

    (void)pthread_once(&xid_once, xid_init);
    now = (uint32_t)rk_wall_s();
    counter = atomic_fetch_add(&xid_counter, 1);
    for (int i = 0; i < 4; i++)
        raw[i] = (uint8_t)(now >> (24 - 8 * i));
    memcpy(raw + 4, xid_process, 5);
    for (int i = 0; i < 3; i++)
        raw[9 + i] = (uint8_t)(counter >> (16 - 8 * i));

    for (size_t i = 0; i < sizeof(raw); i++) {
        bits = bits << 8 | raw[i];
        have += 8;
        while (have >= 5) {
            have -= 5;
            out[at++] = base32hex[bits >> have & 31];
        }
    }
    out[at++] = base32hex[bits << (5 - have) & 31];
    assert(at == RK_XID_LEN);
    out[at] = 0;
}

bool rk_xid_valid(struct rk_str s)
{
    if (s.n != RK_XID_LEN)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'v')))
            return false;
    return s.p[19] == '0' || s.p[19] == 'g'; /* 100 bits carry 96 */
}

void rk_uuid_new(char out[RK_UUID_LEN + 1])
{
    uint8_t b[16];
    static const char digits[] = "0123456789abcdef";

    rk_random(b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(b); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[b[i] >> 4];
        *out++ = digits[b[i] & 15];
    }
    *out = 0;
}

bool rk_uuid_valid(struct rk_str s)
{
    if (s.n != RK_UUID_LEN)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-')
                return false;
        } else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
            return false;
        }
    }
    return true;
}
