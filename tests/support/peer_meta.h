#pragma once

/* What an agent of Linux says of its machine, for tests to change what they are about. */

#include "libcommon/account/peer/peers.h"
#include "libcommon/base/attr.h"

static inline RK_UNUSED struct rk_peer_meta meta_of(const char *hostname)
{
    return (struct rk_peer_meta){ .hostname = hostname,
                                  .goos = "linux",
                                  .kernel = "Linux",
                                  .core = "12",
                                  .platform = "x86_64",
                                  .os = "Debian",
                                  .version = "0.77.1",
                                  .ui_version = "",
                                  .kernel_version = "6.1",
                                  .os_version = "12",
                                  .serial_number = "",
                                  .product_name = "",
                                  .manufacturer = "",
                                  .cloud = "",
                                  .cloud_platform = "",
                                  .capabilities = RK_CAP_SOURCE_PREFIXES | RK_CAP_IPV6,
                                  .sync_message_version = 1 };
}
