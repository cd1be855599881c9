/* Arguments and settings; the service itself is app.c. */

#include "libcommon/crypto/box.h"
#include "services/relay/app.h"

int main(int argc, char **argv)
{
    struct relay_config cfg = { 0 };
    int status = 0;

    rk_crypto_init();
    if (rk_settings_main(&relay_settings, &cfg, argc, argv, &status) == RK_SETTINGS_RUN)
        status = relay_app_run(&cfg);
    rk_settings_done(&relay_settings, &cfg);
    return status;
}
