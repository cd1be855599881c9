#pragma once

/*
 * EncryptedMessage as the server sees it: key (field 2), remoteKey (3), body (4, sealed). A message
 * is forwarded verbatim, so it is checked as strictly as the receiving agent's decoder would: one
 * malformed message would end that agent's whole stream. Any thread.
 */

#include <stdbool.h>

#include "libcommon/base/str.h"

#define SIGNAL_MAX_MESSAGE ((size_t)4 * 1024 * 1024)

struct signal_message {
    struct rk_str key, remote_key; /* point into the message; empty when absent */
};

/* False: not a well-formed protobuf message, or field 2 or 3 is not UTF-8. Of a repeated scalar the
 * last counts; a known field with another wire type is an unknown one. */
bool signal_message_parse(struct rk_str bytes, struct signal_message *out);
