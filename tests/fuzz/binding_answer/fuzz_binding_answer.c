/* Any datagram; an address that is taken from one is of a family and as long as that. */

#include <assert.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/net/binding.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    uint8_t transaction[RK_BINDING_TRANSACTION];
    struct rk_addr address;

    if (!rk_binding_answer(p, n, transaction, &address))
        return 0;
    if (address.ss.ss_family == AF_INET)
        assert(address.len == sizeof(struct sockaddr_in));
    else
        assert(address.ss.ss_family == AF_INET6 && address.len == sizeof(struct sockaddr_in6));
    return 0;
}
