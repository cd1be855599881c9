/* rookery-management: arguments, signals, and the loop. */

#include "libcommon/base/fds.h"
#include "libcommon/crypto/box.h"
#include "libcommon/obs/log.h"
#include "services/management/app.h"

static void stop(void *arg)
{
    app_stop(arg);
}

int main(int argc, char **argv)
{
    struct config cfg = { 0 };
    struct rk_err err = { 0 };
    struct rk_loop *loop;
    struct app *app;
    int status;

    if (rk_settings_main(&config_table, &cfg, argc, argv, &status) == RK_SETTINGS_EXIT)
        return status;
    if (rk_log_init(config_table.service, cfg.common.instance, cfg.common.log_level, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 2;
    }
    rk_fds_raise();
    rk_crypto_init();
    loop = rk_loop_new();
    app = app_new(&cfg, loop, &err);
    if (!app) {
        rk_error(NULL, "cannot start: %s", err.msg);
        return 1;
    }
    rk_loop_on_stop(loop, stop, app);
    rk_loop_run(loop);
    app_free(app);
    free(app);
    rk_loop_free(loop);
    rk_info(NULL, "stopped");
    rk_settings_done(&config_table, &cfg);
    return 0;
}
