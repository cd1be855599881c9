#pragma once

/*
 * Allocation that aborts when memory is out, so nobody writes branches no test reaches. A size that
 * comes from outside must have met a limit first. Free with free(). Any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "libcommon/base/attr.h"

void *rk_alloc(size_t n) __attribute__((malloc, returns_nonnull)); /* not cleared */
void *rk_zalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *rk_realloc(void *p, size_t n) __attribute__((returns_nonnull));
void *rk_memdup(const void *p, size_t n) __attribute__((returns_nonnull));
char *rk_strdup(const char *s) __attribute__((returns_nonnull));
char *rk_strndup(const char *s, size_t n) __attribute__((returns_nonnull));
char *rk_asprintf(const char *fmt, ...) RK_PRINTF(1, 2) __attribute__((returns_nonnull));

#define rk_new(type) ((type *)rk_zalloc(sizeof(type)))
#define rk_new_array(type, n) ((type *)rk_zalloc_array((n), sizeof(type)))
void *rk_zalloc_array(size_t n, size_t size)
    __attribute__((returns_nonnull)); /* aborts on overflow */

/* Gives free heap back to the system when there is more than `keep` bytes of it; tells whether it
 * did. Takes milliseconds of a large heap: not on a loop thread. */
bool rk_heap_trim(size_t keep);

void rk_free(void *p); /* free(), for rk_auto: a pointer of any type */
static inline RK_UNUSED void rk_auto_rk_free(void *pp)
{
    void *p;

    memcpy(&p, pp, sizeof(p));
    rk_free(p);
}
static inline RK_UNUSED void rk_auto_rk_cfree(char **p)
{
    rk_free(*p);
}
