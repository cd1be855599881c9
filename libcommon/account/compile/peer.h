#pragma once

/*
 * What one peer puts into the maps of others, encoded once and shared by every snapshot in which
 * neither its row nor the DNS domain changed. Counted (atomic), immutable after compile_peer_new.
 * Any thread.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/account/model/model.h"
#include "libcommon/base/buf.h"

struct compile_span {
    uint32_t at, n; /* in `bytes` */
};

/* What the receiver's version and switches change in its own rules; index of rule parts. */
#define COMPILE_CLASS_RANGES 1u     /* understands port ranges (0.48.0) */
#define COMPILE_CLASS_NATIVE_SSH 2u /* its tcp/22 rules get the 22022 companion */
#define COMPILE_CLASSES 4

/* Bytes behind the end of encoded pieces that may be read, and are copied and overwritten. */
#define COMPILE_SLACK 16

struct compile_peer {
    _Atomic unsigned refs;
    uint32_t bytes_n;
    uint8_t *bytes;
    struct rk_peer_row *row;
    unsigned cls;         /* COMPILE_CLASS_* bits */
    bool sup6;            /* the agent can do IPv6 */
    bool v6;              /* and has an address: it receives the IPv6 half of everything */
    bool source_prefixes; /* reads FirewallRule.sourcePrefixes */
    bool duplicate_peers; /* ancient or unknown version: SyncResponse.remotePeers too */
    bool new_forwarder;   /* >= 0.59.0 */
    struct compile_span remote4,
        remote6; /* NetworkMap.remotePeers with tag and length; dual-stack form */
    struct compile_span allowed4,
        allowed6;                   /* allowedIps in those two: "address/32", "address/128" */
    struct compile_span key;        /* wgPubKey in those two */
    struct compile_span dns4, dns6; /* CustomZone.Records with tags; dns6 has AAAA too */
    struct compile_span ip4, ip6;   /* FirewallRule.PeerIP with tag; ip6 empty without an address */
    struct compile_span prefix4, prefix6; /* FirewallRule.sourcePrefixes with tag */
};

struct compile_peer *compile_peer_new(struct rk_peer_row *row, const char *dns_domain);
struct compile_peer *compile_peer_ref(struct compile_peer *p);
void compile_peer_unref(struct compile_peer *p);

/* Is everything the same that the maps of others show of it (apart from expiry): of receivers with
 * `dual` stack, or of those without? */
bool compile_peer_same_outside(const struct compile_peer *a,
                               const struct compile_peer *b,
                               bool dual);
/* The same records in the peers' zone? */
bool compile_peer_same_names(const struct compile_peer *a, const struct compile_peer *b);

/* "<label>.<domain>", or nothing when the domain is empty. */
void compile_put_fqdn(struct rk_buf *b, unsigned field, const char *label, const char *domain);
