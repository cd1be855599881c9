#include "libcommon/grpc/timeout.h"

#include <stdio.h>

bool rk_grpc_timeout_parse(struct rk_str s, uint64_t *out_ms)
{
    uint64_t v;

    if (s.n < 2 || s.n > 9 || !rk_str_u64(rk_strn(s.p, s.n - 1), &v))
        return false;
    switch (s.p[s.n - 1]) {
    case 'H':
        *out_ms = v * 3600 * 1000;
        return true;
    case 'M':
        *out_ms = v * 60 * 1000;
        return true;
    case 'S':
        *out_ms = v * 1000;
        return true;
    case 'm':
        *out_ms = v;
        return true;
    case 'u':
        *out_ms = (v + 999) / 1000;
        return true;
    case 'n':
        *out_ms = (v + 999999) / 1000000;
        return true;
    default:
        return false;
    }
}

void rk_grpc_timeout_format(uint64_t ms, char out[RK_GRPC_TIMEOUT_LEN])
{
    if (ms < 100000000)
        snprintf(out, RK_GRPC_TIMEOUT_LEN, "%um", (unsigned)ms);
    else
        snprintf(out, RK_GRPC_TIMEOUT_LEN, "%uS", (unsigned)(ms / 1000 % 100000000));
}
