/*
 * Every protobuf message an agent can send to management, decoded as the server decodes it: into an
 * arena with a bound, so a small input cannot make a large tree. What decodes is packed again, and
 * its size must be what packing wrote. First byte: which message.
 */

#include <stdint.h>
#include <stdlib.h>

#include "libcommon/base/arena.h"
#include "proto/edge.pb-c.h"
#include "proto/management.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_BYTES ((size_t)1024 * 1024)

static const ProtobufCMessageDescriptor *const messages[] = {
    &management__encrypted_message__descriptor,
    &management__login_request__descriptor,
    &management__sync_request__descriptor,
    &management__sync_meta_request__descriptor,
    &management__empty__descriptor,
    &management__device_authorization_flow_request__descriptor,
    &management__pkceauthorization_flow_request__descriptor,
    &management__job_request__descriptor,
    &management__job_response__descriptor,
    &management__expose_service_request__descriptor,
    &management__renew_expose_request__descriptor,
    &management__stop_expose_request__descriptor,
    &management__extend_auth_session_request__descriptor,
    &management__sync_response__descriptor, /* what our own test agents read */
    &management__login_response__descriptor,
    &edge__renewal__descriptor,
    &edge__claim__descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = NULL;
    ProtobufCMessage *m, *again;
    uint8_t *packed;
    size_t n;

    if (size == 0)
        return 0;
    arena = rk_arena_new(ARENA_BYTES);
    m = protobuf_c_message_unpack(messages[data[0] % (sizeof(messages) / sizeof(messages[0]))],
                                  rk_arena_protobuf(arena), size - 1, data + 1);
    if (!m)
        return 0;
    n = protobuf_c_message_get_packed_size(m);
    packed = malloc(n + 1);
    if (!packed || protobuf_c_message_pack(m, packed) != n)
        abort();
    /* It may be refused: the library keeps an unknown field whose overlong key wrapped to number 0,
     * and packs it as a field 0 that it does not read. What it does read is the same message. */
    again = protobuf_c_message_unpack(m->descriptor, NULL, n, packed);
    if (again && protobuf_c_message_get_packed_size(again) != n)
        abort();
    if (again)
        protobuf_c_message_free_unpacked(again, NULL);
    free(packed);
    return 0;
}
