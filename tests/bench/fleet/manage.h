#pragma once

/*
 * An agent at management: enrolling, Login, Sync and Job, each call behind its own GetServerKey.
 * Loop thread only.
 */

#include "tests/bench/fleet/agent.h"

void manage_init(struct agent *a);
void manage_start(struct agent *a);  /* dials and logs in */
void manage_again(struct agent *a);  /* the same after the back-off */
void manage_engine(struct agent *a); /* Sync and Job */
