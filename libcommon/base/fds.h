#pragma once

/* How many file descriptors the process may have: a connection takes one, and who comes when none
 * is left is turned away. */

#include <stdint.h>

/* As many as the hard limit allows. Start-up only. */
void rk_fds_raise(void);
/* The soft limit; UINT64_MAX: none. Any thread. */
uint64_t rk_fds_max(void);
