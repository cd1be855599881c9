#pragma once

/*
 * Commands: what an administrator has the program do once, in place of serving:
 * `rookery-dashboard-api COMMAND --config FILE`. Main thread.
 */

#include "services/dashboard-api/config.h"

struct command;
/* NULL: there is none of this name. */
const struct command *command_find(const char *name);
/* Its exit status; says on stdout what it has done. */
int command_run(const struct command *cmd, const struct api_config *config);
