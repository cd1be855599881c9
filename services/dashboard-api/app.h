#pragma once

/* Builds the service from its settings, runs it until it is told to stop, and takes it down, in
 * order. */

#include "services/dashboard-api/config.h"

/* The exit status. */
int app_run(const struct api_config *config);
