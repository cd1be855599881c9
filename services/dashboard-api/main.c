/* Arguments and settings; the rest is app.c. */

#include <string.h>

#include "libcommon/base/fds.h"
#include "libcommon/crypto/box.h"
#include "libcommon/obs/log.h"
#include "services/dashboard-api/app.h"
#include "services/dashboard-api/command.h"

int main(int argc, char **argv)
{
    const struct command *cmd = argc > 1 ? command_find(argv[1]) : NULL;
    const char *argument = NULL;
    struct api_config config = { 0 };
    struct rk_err err = { 0 };
    int status;

    if (cmd) {
        argv++;
        argc--;
    }
    if (cmd && command_takes(cmd)) {
        if (argc < 2 || argv[1][0] == '-') {
            (void)fprintf(stderr, "rookery-dashboard-api %s %s --config FILE\n", argv[0],
                          command_takes(cmd));
            return 2;
        }
        argument = argv[1];
        argv++;
        argc--;
    }
    if (cmd && command_alone(cmd)) {
        rk_crypto_init();
        return command_run(cmd, argument, NULL);
    }
    if (rk_settings_main(&api_settings, &config, argc, argv, &status) == RK_SETTINGS_EXIT) {
        if (!cmd && argc == 2 && strcmp(argv[1], "--help") == 0)
            command_help(stdout);
        return status;
    }
    rk_crypto_init();
    if (rk_log_init("dashboard-api", config.common.instance, config.common.log_level, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    rk_fds_raise();
    status = cmd ? command_run(cmd, argument, &config) : app_run(&config);
    rk_settings_done(&api_settings, &config);
    return status;
}
