#include "libcommon/obs/log.h"

/* A line is built by the thread that logs and leaves in one write, so lines of several threads
 * never mix. */

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/json.h"
#include "libcommon/base/str.h"
#include "libcommon/obs/trace.h"

#define MAX_MESSAGE 2048
#define MAX_LINE 16384

static const char *const level_names[] = { "debug", "info", "warn", "error" };

/* Written once at start-up, before other threads. */
static char service_name[32];
static char instance_name[128];
static _Atomic int level_min = RK_LOG_INFO;

int rk_log_init(const char *service, const char *instance, const char *level, struct rk_err *err)
{
    for (int i = 0; i < (int)RK_COUNT(level_names); i++) {
        if (strcmp(level, level_names[i]) != 0)
            continue;
        (void)snprintf(service_name, sizeof(service_name), "%s", service);
        (void)snprintf(instance_name, sizeof(instance_name), "%s", instance);
        atomic_store(&level_min, i);
        return 0;
    }
    return rk_fail(err, RK_INVALID, "log level '%s' is not debug, info, warn or error", level);
}

const char *rk_log_service(void)
{
    return service_name;
}

bool rk_log_on(enum rk_log_level level)
{
    return (int)level >= atomic_load_explicit(&level_min, memory_order_relaxed);
}

static void begin_line(struct rk_json *j,
                       struct rk_buf *line,
                       enum rk_log_level level,
                       const struct rk_logctx *ctx)
{
    const struct rk_trace *trace = rk_trace_current();
    char ts[RK_TIME_LEN];
    int64_t now = rk_wall_us();

    rk_time_format(now, ts);
    /* Milliseconds: cut or complete the fraction that starts at the dot or the Z. */
    (void)snprintf(ts + 19, sizeof(ts) - 19, ".%03dZ", (int)(now / 1000 % 1000));
    rk_json_init(j, line);
    rk_json_object(j, NULL);
    rk_json_cstr(j, "ts", ts);
    rk_json_cstr(j, "level", level_names[level]);
    rk_json_cstr(j, "svc", service_name);
    rk_json_cstr(j, "inst", instance_name);
    if (ctx && ctx->peer)
        rk_json_cstr(j, "peer", ctx->peer);
    if (ctx && ctx->account)
        rk_json_cstr(j, "account", ctx->account);
    if (ctx && ctx->remote)
        rk_json_cstr(j, "remote", ctx->remote);
    if (ctx && ctx->trace)
        rk_json_cstr(j, "trace", ctx->trace);
    else if (trace)
        rk_json_cstr(j, "trace", trace->id);
}

/* False, and nothing written, when the line did not fit. */
static bool end_line(struct rk_json *j, struct rk_buf *line)
{
    rk_json_object_end(j);
    rk_buf_put_u8(line, '\n');
    if (line->overflow)
        return false;
    (void)!write(STDERR_FILENO, line->p, line->n);
    return true;
}

void rk_log(enum rk_log_level level, const struct rk_logctx *ctx, const char *fmt, ...)
{
    rk_auto(rk_buf_done) struct rk_buf line;
    char msg[MAX_MESSAGE];
    struct rk_json j;
    va_list ap;

    rk_buf_init(&line, MAX_LINE);
    if (!rk_log_on(level))
        return;
    va_start(ap, fmt);
    (void)vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    begin_line(&j, &line, level, ctx);
    rk_json_cstr(&j, "msg", msg);
    if (end_line(&j, &line))
        return;
    /* An absurd context; the message alone always fits. */
    rk_buf_clear(&line);
    begin_line(&j, &line, level, NULL);
    rk_json_cstr(&j, "msg", msg);
    (void)end_line(&j, &line);
}

void rk_log_ready(const char *listen, const char *admin)
{
    rk_auto(rk_buf_done) struct rk_buf line;
    struct rk_json j;

    rk_buf_init(&line, MAX_LINE);
    begin_line(&j, &line, RK_LOG_INFO, NULL);
    rk_json_cstr(&j, "msg", "ready");
    rk_json_cstr(&j, "listen", listen);
    rk_json_cstr(&j, "admin", admin);
    (void)end_line(&j, &line);
}
