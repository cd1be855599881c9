#include "libcommon/base/alloc.h"

/* Out of memory ends the process: the supervisor restarts it, and no caller needs a branch that no
 * test reaches. */

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL_MAX 1032 /* glibc: of 64 bits */

static _Noreturn void out_of_memory(void)
{
    static const char text[] = "out of memory\n";

    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    abort();
}

/* Not inlined: of malloc and memset compilers make calloc. */
__attribute__((noinline)) void *rk_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);

    if (!p)
        out_of_memory();
    return p;
}

/* Small pieces lie ready for each thread, but not for calloc. */
void *rk_zalloc(size_t n)
{
    void *p;

    if (n <= SMALL_MAX)
        return memset(rk_alloc(n), 0, n);
    p = calloc(1, n);

    if (!p)
        out_of_memory();
    return p;
}

void *rk_realloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);

    if (!q)
        out_of_memory();
    return q;
}

void *rk_zalloc_array(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1); /* calloc refuses a product that overflows */

    if (!p)
        out_of_memory();
    return p;
}

void *rk_memdup(const void *p, size_t n)
{
    void *q = rk_alloc(n);

    if (n > 0)
        memcpy(q, p, n);
    return q;
}

char *rk_strdup(const char *s)
{
    return rk_memdup(s, strlen(s) + 1);
}

char *rk_strndup(const char *s, size_t n)
{
    char *q = rk_alloc(n + 1);

    if (n > 0)
        memcpy(q, s, n);
    q[n] = 0;
    return q;
}

char *rk_asprintf(const char *fmt, ...)
{
    char *out = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&out, fmt, ap);
    va_end(ap);
    if (n < 0)
        out_of_memory();
    return out;
}

void rk_free(void *p)
{
    free(p);
}

bool rk_heap_trim(size_t keep)
{
    if (mallinfo2().fordblks <= keep)
        return false;
    return malloc_trim(keep) == 1;
}
