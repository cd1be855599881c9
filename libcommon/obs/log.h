#pragma once

/*
 * Log: one JSON object a line on stderr: ts, level, svc, inst, the context's fields, the trace that
 * the thread works on (trace.h), msg. Any thread. Log at the edge, once; library code returns its
 * error and stays quiet. Info is a change of state, warn is what an operator may act on, error is
 * our bug or a lost dependency. Secrets never.
 */

#include <stdbool.h>

#include "libcommon/base/attr.h"
#include "libcommon/base/err.h"

enum rk_log_level {
    RK_LOG_DEBUG,
    RK_LOG_INFO,
    RK_LOG_WARN,
    RK_LOG_ERROR,
};

/* Carried by long-lived objects so that nobody formats ids by hand; strings live as long as the
 * object. NULL = absent. */
struct rk_logctx {
    const char *peer;
    const char *account;
    const char *remote;
    const char *trace; /* of work that goes on elsewhere; NULL: what this thread works on */
};

int rk_log_init(const char *service, const char *instance, const char *level, struct rk_err *err);
const char *rk_log_service(void); /* as given there */
bool rk_log_on(enum rk_log_level level);
void rk_log(enum rk_log_level level, const struct rk_logctx *ctx, const char *fmt, ...)
    RK_PRINTF(3, 4);
/* The line that says a service is up: msg "ready" with the addresses bound. */
void rk_log_ready(const char *listen, const char *admin);

#define rk_debug(ctx, ...)                                                                         \
    do {                                                                                           \
        if (rk_log_on(RK_LOG_DEBUG))                                                               \
            rk_log(RK_LOG_DEBUG, (ctx), __VA_ARGS__);                                              \
    } while (0)
#define rk_info(ctx, ...) rk_log(RK_LOG_INFO, (ctx), __VA_ARGS__)
#define rk_warn(ctx, ...) rk_log(RK_LOG_WARN, (ctx), __VA_ARGS__)
#define rk_error(ctx, ...) rk_log(RK_LOG_ERROR, (ctx), __VA_ARGS__)
