/* Arguments and settings; the service itself is app.c. */

#include "libcommon/crypto/box.h"
#include "services/signal/app.h"

int main(int argc, char **argv)
{
    struct signal_config cfg = { 0 };
    int status = 0;

    rk_crypto_init();
    if (rk_settings_main(&signal_settings, &cfg, argc, argv, &status) == RK_SETTINGS_RUN)
        status = signal_app_run(&cfg);
    rk_settings_done(&signal_settings, &cfg);
    return status;
}
