#pragma once

/* Builds the relay from its settings, runs it until SIGTERM or SIGINT, drains, tears down. Main
 * thread. */

#include "services/relay/config.h"

/* Exit status of the process. */
int relay_app_run(const struct relay_config *cfg);
