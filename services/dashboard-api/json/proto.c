#include "services/dashboard-api/json/proto.h"

#include <arpa/inet.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/encode.h"
#include "libcommon/base/prefix.h"

/* These are an address with its prefix length behind it. */
static bool is_prefix(const char *field)
{
    return strcmp(field, "sourcePrefixes") == 0 || strcmp(field, "address_v6") == 0;
}

static bool is_text(const ProtobufCBinaryData *b)
{
    for (size_t i = 0; i < b->len; i++)
        if (b->data[i] < 0x20 || b->data[i] > 0x7e)
            return false;
    return true;
}

static void write_prefix(struct rk_json *j, const char *key, const ProtobufCBinaryData *b)
{
    struct rk_prefix p = { .family = b->len == 5 ? AF_INET : AF_INET6 };
    char text[RK_PREFIX_LEN];

    memcpy(p.addr, b->data, b->len - 1);
    p.bits = b->data[b->len - 1];
    rk_prefix_format(&p, text);
    rk_json_cstr(j, key, text);
}

static void
write_bytes(struct rk_json *j, const char *key, const char *field, const ProtobufCBinaryData *b)
{
    rk_auto(rk_cfree) char *hex = NULL;

    if (is_prefix(field) && (b->len == 5 || b->len == 17)) {
        write_prefix(j, key, b);
        return;
    }
    if (is_text(b)) {
        rk_json_str(j, key, rk_strn(b->data, b->len));
        return;
    }
    hex = rk_alloc(b->len * 2 + 1);
    rk_hex_encode(b->data, b->len, hex);
    rk_json_cstr(j, key, hex);
}

static void
write_enum(struct rk_json *j, const char *key, const ProtobufCEnumDescriptor *d, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);

    if (v)
        rk_json_cstr(j, key, v->name);
    else
        rk_json_int(j, key, value);
}

static void write_value(struct rk_json *j,
                        const char *key,
                        const ProtobufCFieldDescriptor *f,
                        const void *at,
                        const char *const *hide)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        proto_write(j, key, *(const ProtobufCMessage *const *)at, hide);
        break;
    case PROTOBUF_C_TYPE_STRING:
        rk_json_cstr(j, key, *(const char *const *)at);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        write_bytes(j, key, f->name, at);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        rk_json_bool(j, key, *(const protobuf_c_boolean *)at);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(j, key, f->descriptor, *(const int *)at);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        rk_json_uint(j, key, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        rk_json_uint(j, key, *(const uint64_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        rk_json_int(j, key, *(const int32_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        rk_json_int(j, key, *(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        break; /* no message of ours has any */
    }
}

static size_t size_of(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(uint64_t);
    default:
        return sizeof(uint32_t);
    }
}

static bool hidden(const char *name, const char *const *hide)
{
    for (; hide && *hide; hide++)
        if (strcmp(name, *hide) == 0)
            return true;
    return false;
}

/* A member that is not there: a message that is NULL, or another case of its oneof. */
static bool absent(const ProtobufCFieldDescriptor *f, const uint8_t *base)
{
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(const void *)(base + f->quantifier_offset) != f->id;
    return f->label != PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_MESSAGE &&
           !*(const void *const *)(const void *)(base + f->offset);
}

void proto_write(struct rk_json *j,
                 const char *key,
                 const ProtobufCMessage *m,
                 const char *const *hide)
{
    const uint8_t *base = (const uint8_t *)m;

    rk_json_object(j, key);
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const void *at = base + f->offset;

        if (hidden(f->name, hide) || absent(f, base))
            continue;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *(const size_t *)(const void *)(base + f->quantifier_offset);
            const uint8_t *items = *(const uint8_t *const *)at;

            rk_json_array(j, f->name);
            for (size_t k = 0; k < n; k++)
                write_value(j, NULL, f, items + k * size_of(f), hide);
            rk_json_array_end(j);
        } else {
            write_value(j, f->name, f, at, hide);
        }
    }
    rk_json_object_end(j);
}
