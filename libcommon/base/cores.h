#pragma once

/* How many cores are online: 1 where the machine does not say. Any thread. */
unsigned rk_cores(void);
