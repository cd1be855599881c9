#include "libcommon/net/binding.h"

#include <netinet/in.h>
#include <string.h>

#include "libcommon/base/cursor.h"

#define COOKIE 0x2112a442u
#define BINDING_SUCCESS 0x0101
#define XOR_MAPPED_ADDRESS 0x0020
#define FAMILY_IPV4 1
#define FAMILY_IPV6 2

/* What addresses are masked with: cookie and transaction, as they stand in the header. */
#define MASK_AT 4
#define MASK_LEN 16

void rk_binding_request(const uint8_t transaction[RK_BINDING_TRANSACTION],
                        uint8_t out[RK_BINDING_REQUEST])
{
    static const uint8_t head[8] = { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 };

    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), transaction, RK_BINDING_TRANSACTION);
}

static void unmask(uint8_t *out, const uint8_t *in, size_t n, const uint8_t mask[MASK_LEN])
{
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] ^ mask[i];
}

/* XOR-MAPPED-ADDRESS: 0, family, port, address. */
static bool read_address(struct rk_str value, const uint8_t mask[MASK_LEN], struct rk_addr *out)
{
    const uint8_t *p = (const uint8_t *)value.p;
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

    if (value.n == 8 && p[1] == FAMILY_IPV4) {
        unmask((uint8_t *)&v4.sin_port, p + 2, 2, mask);
        unmask((uint8_t *)&v4.sin_addr, p + 4, 4, mask);
        memcpy(&out->ss, &v4, sizeof(v4));
        out->len = sizeof(v4);
        return true;
    }
    if (value.n == 20 && p[1] == FAMILY_IPV6) {
        unmask((uint8_t *)&v6.sin6_port, p + 2, 2, mask);
        unmask((uint8_t *)&v6.sin6_addr, p + 4, 16, mask);
        memcpy(&out->ss, &v6, sizeof(v6));
        out->len = sizeof(v6);
        return true;
    }
    return false;
}

bool rk_binding_answer(const uint8_t *p,
                       size_t n,
                       uint8_t out_transaction[RK_BINDING_TRANSACTION],
                       struct rk_addr *out_address)
{
    struct rk_cursor c = rk_cursor(p, n);
    struct rk_addr found = { .len = 0 };

    if (n < RK_BINDING_REQUEST || rk_cursor_be16(&c) != BINDING_SUCCESS ||
        rk_cursor_be16(&c) != n - RK_BINDING_REQUEST || rk_cursor_be32(&c) != COOKIE)
        return false;
    (void)rk_cursor_take(&c, RK_BINDING_TRANSACTION);
    while (c.n > 0 && !c.bad) {
        uint16_t type = rk_cursor_be16(&c), len = rk_cursor_be16(&c);
        struct rk_str value = rk_cursor_take(&c, ((size_t)len + 3) & ~(size_t)3);

        if (c.bad || type != XOR_MAPPED_ADDRESS)
            continue;
        value.n = len;
        if (!read_address(value, p + MASK_AT, &found))
            return false;
        memcpy(out_transaction, p + 8, RK_BINDING_TRANSACTION);
        *out_address = found;
        return true;
    }
    return false;
}
