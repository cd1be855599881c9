#pragma once

/*
 * Commands: what an administrator has the program do once, in place of serving:
 * `rookery-dashboard-api COMMAND [ARGUMENT] --config FILE`. Main thread.
 */

#include <stdio.h>

#include "services/dashboard-api/config.h"

struct command;
/* Names, arguments, and what each does. */
void command_help(FILE *out);
/* NULL: there is none of this name. */
const struct command *command_find(const char *name);
/* What its argument is; NULL when it takes none. */
const char *command_takes(const struct command *cmd);
/* It needs no settings: command_run takes NULL for them. */
bool command_alone(const struct command *cmd);
/* Its exit status; says on stdout what it has done. */
int command_run(const struct command *cmd, const char *argument, const struct api_config *config);
