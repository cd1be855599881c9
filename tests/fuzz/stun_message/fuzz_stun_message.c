// links: stun
/* Any datagram; whatever is answered is a request whose header is echoed. */

#include <assert.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "services/stun/message/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct sockaddr_in source = { .sin_family = AF_INET };
    uint8_t reply[STUN_MAX_REPLY];

    if (stun_check(p, n) != STUN_ANSWER)
        return 0;
    assert(stun_answer(p, (const struct sockaddr *)&source, reply) == 40);
    assert(memcmp(reply + 4, p + 4, 16) == 0);
    return 0;
}
