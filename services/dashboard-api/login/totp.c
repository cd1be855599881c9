/* See totp.h. */

#include "services/dashboard-api/login/totp.h"

#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "libcommon/crypto/box.h"

void totp_code(const void *secret, size_t n, int64_t step, char out[TOTP_DIGITS + 1])
{
    uint8_t counter[8], mac[EVP_MAX_MD_SIZE];
    unsigned mac_n = 0, at;
    uint32_t value;

    for (int i = 0; i < 8; i++)
        counter[i] = (uint8_t)((uint64_t)step >> (56 - 8 * i));
    (void)HMAC(EVP_sha1(), secret, (int)n, counter, sizeof(counter), mac, &mac_n);
    at = mac[mac_n - 1] & 15;
    value = (uint32_t)(mac[at] & 0x7f) << 24 | (uint32_t)mac[at + 1] << 16 |
            (uint32_t)mac[at + 2] << 8 | mac[at + 3];
    snprintf(out, TOTP_DIGITS + 1, "%06u", (unsigned)(value % 1000000));
    rk_wipe(mac, sizeof(mac));
}

bool totp_check(const void *secret,
                size_t n,
                int64_t now_s,
                int64_t last_step,
                struct rk_str code,
                int64_t *out_step)
{
    char typed[TOTP_DIGITS], right[TOTP_DIGITS + 1];
    int64_t now = now_s / TOTP_STEP_S, found = 0;
    bool any = false;
    size_t k = 0;

    for (size_t i = 0; i < code.n; i++) {
        if (code.p[i] == ' ')
            continue;
        if (code.p[i] < '0' || code.p[i] > '9' || k == TOTP_DIGITS)
            return false;
        typed[k++] = code.p[i];
    }
    if (k != TOTP_DIGITS)
        return false;
    for (int64_t step = now - 1; step <= now + 1; step++) {
        totp_code(secret, n, step, right);
        if (rk_const_eq(typed, right, TOTP_DIGITS) && step > last_step && !any) {
            any = true;
            found = step;
        }
    }
    if (any)
        *out_step = found;
    return any;
}

void totp_base32(const void *p, size_t n, char *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    const uint8_t *in = p;
    uint32_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | in[i];
        for (have += 8; have >= 5; have -= 5)
            *out++ = alphabet[bits >> (have - 5) & 31];
    }
    if (have > 0)
        *out++ = alphabet[bits << (5 - have) & 31];
    *out = '\0';
}
