#pragma once

/* Protobuf wire writing straight into a buffer, for the map compiler and the other hot encoders.
 * Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

size_t rk_wire_varint_size(uint64_t v);
void rk_wire_varint(struct rk_buf *b, uint64_t v);
void rk_wire_uint(struct rk_buf *b, unsigned field, uint64_t v);     /* omitted when 0 */
void rk_wire_bool(struct rk_buf *b, unsigned field, bool v);         /* omitted when false */
void rk_wire_str(struct rk_buf *b, unsigned field, struct rk_str v); /* omitted when empty */
void rk_wire_bytes_always(struct rk_buf *b,
                          unsigned field,
                          struct rk_str v); /* written even when empty (submessages) */
/* A submessage whose size is known only afterwards: the body is written, then moved by the length's
 * size. */
size_t rk_wire_begin(struct rk_buf *b, unsigned field);
void rk_wire_end(struct rk_buf *b, size_t begin);
/* The same for a long one: as long as its length takes as many bytes as the one expected, nothing
 * is moved. */
size_t rk_wire_begin_near(struct rk_buf *b, unsigned field, size_t expected);
void rk_wire_end_near(struct rk_buf *b, size_t begin, size_t expected);
