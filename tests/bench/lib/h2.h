#pragma once

/* What programs that speak to nghttp2 themselves have in common. */

#include <stdint.h>

#include <nghttp2/nghttp2.h>

/* A header of two literals. */
#define FIELD(name, value)                                                                         \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,             \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE        \
    }
