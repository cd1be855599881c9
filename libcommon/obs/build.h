#pragma once

/* Build: which one this program is. Any thread. */

#define RK_BUILD_LEN 40

/* The build ID that the linker made of everything in it, in hex: equal in copies of one program
 * alone. "" when it was linked without. */
void rk_build_id(char out[RK_BUILD_LEN + 1]);
