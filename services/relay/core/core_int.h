#pragma once

/* For core.c and tests: cores that no thread runs, whose mail the caller hands on by core_mail and
 * core_poke. A listening socket of -1 is none. */

#include "services/relay/core/core.h"

struct cores *cores_new(uint32_t count, const int *listen_fds, const struct core_config *cfg);
struct core *cores_at(struct cores *all, uint32_t i);
void cores_free(struct cores *all); /* every session is gone */
