#pragma once

/*
 * A protobuf message as JSON, by its descriptor: names as in the .proto file, enums by name, absent
 * messages left out, everything else always there. Bytes that are text stay text, addresses become
 * text, others are hex.
 * Any thread.
 */

#include <protobuf-c/protobuf-c.h>

#include "libcommon/base/json.h"

/* `hide` names fields that are left out at any depth (NULL: none), ended by NULL. */
void proto_write(struct rk_json *j,
                 const char *key,
                 const ProtobufCMessage *m,
                 const char *const *hide);
