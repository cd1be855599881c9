#include "services/signal/message/message.h"

/* One pass over the top level; groups (wire types 3 and 4) are skipped with their numbers matched.
 */

#include "libcommon/base/cursor.h"

#define MAX_GROUPS 100
#define MAX_FIELD ((1u << 29) - 1)

enum wire {
    WIRE_VARINT,
    WIRE_64,
    WIRE_BYTES,
    WIRE_GROUP,
    WIRE_END,
    WIRE_32,
};

bool signal_message_parse(struct rk_str bytes, struct signal_message *out)
{
    struct rk_cursor c = rk_cursor(bytes.p, bytes.n);
    struct signal_message m = { { "", 0 }, { "", 0 } };
    uint32_t groups[MAX_GROUPS];
    size_t depth = 0;

    while (c.n > 0 && !c.bad) {
        uint64_t tag = rk_cursor_varint(&c);
        uint64_t field = tag >> 3;
        struct rk_str v;

        if (c.bad || field == 0 || field > MAX_FIELD)
            return false;
        switch (tag & 7) {
        case WIRE_VARINT:
            (void)rk_cursor_varint(&c);
            break;
        case WIRE_64:
            (void)rk_cursor_take(&c, 8);
            break;
        case WIRE_BYTES:
            v = rk_cursor_take(&c, rk_cursor_varint(&c));
            if (c.bad)
                return false;
            if (depth > 0 || (field != 2 && field != 3))
                break;
            if (!rk_utf8_valid(v))
                return false;
            *(field == 2 ? &m.key : &m.remote_key) = v;
            break;
        case WIRE_GROUP:
            if (depth == MAX_GROUPS)
                return false;
            groups[depth++] = (uint32_t)field;
            break;
        case WIRE_END:
            if (depth == 0 || groups[--depth] != field)
                return false;
            break;
        case WIRE_32:
            (void)rk_cursor_take(&c, 4);
            break;
        default:
            return false;
        }
    }
    if (c.bad || depth > 0)
        return false;
    *out = m;
    return true;
}
