#pragma once

/* What Postgres' five letters of an error mean to us. Any thread. */

#include <stdbool.h>

/* Whether a state begins with these. */
bool pg_is_class(const char *state, const char *class);
/* As a code; the table of pg.h. */
int pg_code_of(const char *state);
