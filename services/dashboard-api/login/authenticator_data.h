#pragma once

/*
 * What an authenticator says of itself (WebAuthn, 6.1): a head and, behind it, CBOR of the
 * browser's making. libcbor believes the length of an array or a map before it has seen the
 * elements, so that five bytes are sixteen gigabytes to it; nothing reaches it that has not been
 * here. Any thread.
 */

#include <stdbool.h>

#include "libcommon/base/str.h"

/* Whether `data` is a head and exactly what its flags say is behind it: when a key was made
 * (`made`) the key, else none, and what the authenticator adds. Lengths are definite and no longer
 * than what is there, as CTAP 2 has them (8, message encoding). */
bool authenticator_data_holds(struct rk_str data, bool made);
