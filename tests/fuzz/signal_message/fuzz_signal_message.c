// links: signal
/* Any bytes: the check neither crashes nor accepts a key outside the message or one that is not
 * UTF-8. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "services/signal/message/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct rk_str s, const uint8_t *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)s.p;

    assert(s.n == 0 || (p >= data && p + s.n <= data + size));
    assert(rk_utf8_valid(s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct signal_message m;

    if (signal_message_parse(rk_strn(data, size), &m)) {
        inside(m.key, data, size);
        inside(m.remote_key, data, size);
    }
    return 0;
}
