#pragma once

/* How much of the process's memory is there. Sanitizers have an allocator of their own, which keeps
 * what is freed. */

#include <stdio.h>
#include <unistd.h>

#include "tests/support/test.h"

#ifndef __has_feature /* clang's way to say so */
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GLIBC_HEAP 0
#else
#define GLIBC_HEAP 1
#endif

static inline size_t resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long size = 0, pages = 0;

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &size, &pages), 2);
    fclose(f);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}
