#include "libcommon/base/clock.h"

/* Calendar arithmetic is done here: no locale, no time zone file, no year limits of struct tm. */

#include <stdio.h>
#include <time.h>

#define US ((int64_t)1000000)
#define DAY_S ((int64_t)86400)
#define YEAR_1_S (-(int64_t)62135596800)     /* 0001-01-01 */
#define YEAR_10000_S ((int64_t)253402300800) /* 10000-01-01 */

static uint64_t ns_of(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t rk_mono_ms(void)
{
    return ns_of(CLOCK_MONOTONIC) / 1000000u;
}

uint64_t rk_mono_ns(void)
{
    return ns_of(CLOCK_MONOTONIC);
}

bool rk_due(uint64_t *last_ms, unsigned every_ms)
{
    uint64_t now = rk_mono_ms();

    if (*last_ms != 0 && now - *last_ms < every_ms)
        return false;
    *last_ms = now;
    return true;
}

int64_t rk_wall_us(void)
{
    return (int64_t)(ns_of(CLOCK_REALTIME) / 1000u);
}

int64_t rk_wall_s(void)
{
    return rk_wall_us() / US;
}

/* Days since 1970-01-01 of a proleptic Gregorian date; eras of 400 years that begin on 1 March. */
static int64_t days_from_civil(int64_t y, int m, int d)
{
    int64_t era, yoe, doy;

    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = y - era * 400;
    doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_from_days(int64_t z, int *y, int *m, int *d)
{
    int64_t era, doe, yoe, doy, mp;

    z += 719468;
    era = (z >= 0 ? z : z - 146096) / 146097;
    doe = z - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    *d = (int)(doy - (153 * mp + 2) / 5 + 1);
    *m = (int)(mp < 10 ? mp + 3 : mp - 9);
    *y = (int)(yoe + era * 400 + (*m <= 2));
}

void rk_time_format(int64_t us, char out[RK_TIME_LEN])
{
    int64_t s = us / US, frac = us % US, days, of_day;
    int y, m, d, n;

    if (frac < 0) {
        frac += US;
        s--;
    }
    if (us == RK_TIME_UNSET || s < YEAR_1_S) {
        s = YEAR_1_S;
        frac = 0;
    } else if (s >= YEAR_10000_S) {
        s = YEAR_10000_S - 1;
    }
    days = s / DAY_S;
    of_day = s % DAY_S;
    if (of_day < 0) {
        of_day += DAY_S;
        days--;
    }
    civil_from_days(days, &y, &m, &d);
    n = snprintf(out, RK_TIME_LEN, "%04d-%02d-%02dT%02d:%02d:%02d", y % 10000, m % 100, d % 100,
                 (int)(of_day / 3600), (int)(of_day / 60 % 60), (int)(of_day % 60));
    if (frac > 0)
        (void)snprintf(out + n, RK_TIME_LEN - (size_t)n, ".%06dZ", (int)frac);
    else
        (void)snprintf(out + n, RK_TIME_LEN - (size_t)n, "Z");
}

/* Reads exactly `n` digits at *at. */
static bool digits(struct rk_str s, size_t *at, size_t n, int *out)
{
    int v = 0;

    if (s.n - *at < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = s.p[*at + i];

        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (c - '0');
    }
    *at += n;
    *out = v;
    return true;
}

static bool one_of(struct rk_str s, size_t *at, const char *set)
{
    if (*at >= s.n || s.p[*at] == 0 || !strchr(set, s.p[*at]))
        return false;
    (*at)++;
    return true;
}

static bool offset_of(struct rk_str s, size_t *at, int64_t *out_s)
{
    int hours, minutes, sign;

    *out_s = 0;
    if (one_of(s, at, "Zz"))
        return true;
    if (!one_of(s, at, "+-"))
        return false;
    sign = s.p[*at - 1] == '-' ? -1 : 1;
    if (!digits(s, at, 2, &hours) || !one_of(s, at, ":") || !digits(s, at, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *out_s = (int64_t)sign * (hours * 3600 + minutes * 60);
    return true;
}

bool rk_time_parse(struct rk_str s, int64_t *out_us)
{
    static const uint8_t month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int y, mo, d, h, mi, sec, digit;
    int64_t frac = 0, unit = US / 10, offset, t;
    size_t at = 0;
    bool leap;

    if (!digits(s, &at, 4, &y) || !one_of(s, &at, "-") || !digits(s, &at, 2, &mo) ||
        !one_of(s, &at, "-") || !digits(s, &at, 2, &d) || !one_of(s, &at, "Tt ") ||
        !digits(s, &at, 2, &h) || !one_of(s, &at, ":") || !digits(s, &at, 2, &mi) ||
        !one_of(s, &at, ":") || !digits(s, &at, 2, &sec))
        return false;
    leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (y < 1 || mo < 1 || mo > 12 || d < 1 || h > 23 || mi > 59 || sec > 59 ||
        d > month_days[mo - 1] + (mo == 2 && leap))
        return false;
    if (one_of(s, &at, ".")) {
        if (!digits(s, &at, 1, &digit))
            return false;
        do {
            frac += digit * unit;
            unit /= 10;
        } while (digits(s, &at, 1, &digit));
    }
    if (!offset_of(s, &at, &offset) || at != s.n)
        return false;
    t = days_from_civil(y, mo, d) * DAY_S + h * 3600 + mi * 60 + sec - offset;
    *out_us = t <= YEAR_1_S && frac == 0 ? RK_TIME_UNSET : t * US + frac;
    return true;
}
