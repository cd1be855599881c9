#include "tools/doctor/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"

#define DETAIL_MAX 1024

void check_init(struct check *c, const char *topic, const char *subject, const char *arg)
{
    *c = (struct check){ .topic = topic, .subject = rk_strdup(subject), .arg = rk_strdup(arg) };
}

void check_done(struct check *c)
{
    for (unsigned i = 0; i < c->findings; i++) {
        free(c->finding[i].subject);
        free(c->finding[i].detail);
    }
    rk_wipe(c->arg, strlen(c->arg));
    free(c->arg);
    free(c->subject);
}

void check_say(struct check *c,
               enum verdict verdict,
               const char *topic,
               const char *advice,
               const char *fmt,
               ...)
{
    char detail[DETAIL_MAX];
    va_list ap;

    if (c->findings == FINDINGS_MAX)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, ap);
    va_end(ap);
    for (char *p = detail; *p; p++) /* what servers say may have several lines */
        if ((unsigned char)*p < ' ')
            *p = ' ';
    c->finding[c->findings++] = (struct finding){ .verdict = verdict,
                                                  .topic = topic,
                                                  .subject = rk_strdup(c->subject),
                                                  .detail = rk_strdup(detail),
                                                  .advice = advice };
}
