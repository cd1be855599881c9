/* Arguments and settings; the service itself is app.c. */

#include "libcommon/crypto/box.h"
#include "services/stun/app.h"

int main(int argc, char **argv)
{
    struct stun_config cfg = { 0 };
    int status = 0;

    rk_crypto_init();
    if (rk_settings_main(&stun_settings, &cfg, argc, argv, &status) == RK_SETTINGS_RUN)
        status = stun_app_run(&cfg);
    rk_settings_done(&stun_settings, &cfg);
    return status;
}
