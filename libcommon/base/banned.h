#pragma once

/*
 * Functions that have no bound or no error: they do not compile here. Forced into every file of
 * ours.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#undef sprintf /* macros under _FORTIFY_SOURCE with clang */
#undef vsprintf
#pragma GCC poison strcpy strcat sprintf vsprintf strtok strtok_r atoi atol atoll gets
#endif
