#pragma once

/*
 * Scope-bound ownership: `rk_auto(x_free) struct x *p = NULL;` frees p on every way out of the
 * scope; `return rk_steal(p)` hands it on. Any thread.
 */

#include <stddef.h>

#define RK_CHECKED __attribute__((warn_unused_result))
#define RK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define RK_UNUSED __attribute__((unused))

/* In a header, after the prototype of a `void fn(type *)` that accepts NULL. */
#define RK_DEFINE_AUTO(type, fn)                                                                   \
    static inline RK_UNUSED void rk_auto_##fn(type **p)                                            \
    {                                                                                              \
        fn(*p);                                                                                    \
    }

/* The same for a struct in place that `fn(type *)` undoes. */
#define RK_DEFINE_AUTO_DONE(type, fn)                                                              \
    static inline RK_UNUSED void rk_auto_##fn(type *p)                                             \
    {                                                                                              \
        fn(p);                                                                                     \
    }

#define rk_auto(fn) __attribute__((cleanup(rk_auto_##fn)))

#define rk_steal(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) rk_stolen_ = (p);                                                            \
        (p) = NULL;                                                                                \
        rk_stolen_;                                                                                \
    })

#define rk_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define RK_COUNT(array) (sizeof(array) / sizeof((array)[0]))
