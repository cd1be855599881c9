#pragma once

/* QR codes as pictures that a page can hold. Any thread. */

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"

/* "data:image/svg+xml;base64,..." that shows `text`, in the arena. RK_INVALID: longer than fits. */
int qr_picture(struct rk_arena *a, const char *text, const char **out, struct rk_err *err)
    RK_CHECKED;
