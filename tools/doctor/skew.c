#include "tools/doctor/skew.h"

#define WARN_MS 1000
#define FAIL_MS 30000

void skew_judge(struct check *c, int64_t theirs_us, int64_t before_us, int64_t after_us)
{
    int64_t ms = theirs_us < before_us  ? (theirs_us - before_us) / 1000
                 : theirs_us > after_us ? (theirs_us - after_us) / 1000
                                        : 0;
    long long size = ms < 0 ? -ms : ms;
    const char *side = ms < 0 ? "behind" : "ahead of";

    if (size > WARN_MS)
        check_say(c, size > FAIL_MS ? VERDICT_FAIL : VERDICT_WARN, "clock",
                  "let both machines take their time from the same servers (chronyc tracking): "
                  "deadlines and tokens go by it",
                  "%lld ms %s this machine's", size, side);
    else
        check_say(c, VERDICT_OK, "clock", NULL, "%lld ms off", size);
}
