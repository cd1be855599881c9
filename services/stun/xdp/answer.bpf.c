/*
 * Answers Binding Requests where a device hands over its packets, before the kernel's network stack
 * has seen them (XDP): a question becomes its own answer and leaves by the device it came from.
 * What can only be dropped by the threads (server/server.c) is dropped here. Everything else
 * passes, to the kernel and to them: IP options and fragments, questions with attributes, senders
 * whom only the kernel can judge, and wrong checksums, which a neighbour on the same machine has
 * whose kernel leaves them to a network card that there is not.
 *
 * Loaded by xdp.c; runs on the core that received the packet, and shares nothing with other cores.
 */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_helpers.h>

#include "services/stun/xdp/shared.h"

#define INLINE static __attribute__((always_inline)) inline
#define NS_A_SECOND 1000000000ull
#define DONT_FRAGMENT 0x4000
#define FRAGMENT 0x3fff /* more of them, or not the first */
#define TTL 64

const volatile struct xdp_terms terms;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, XDP_MAX_ADDRESSES);
    __type(key, struct xdp_address);
    __type(value, uint8_t);
} addresses SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, RATE_PLACES);
    __type(key, uint32_t);
    __type(value, struct place);
} places SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, uint32_t);
    __type(value, struct xdp_counts);
} counts SEC(".maps");

/* A question, or its answer, of which `word` is the beginning. */
struct packet4 {
    struct ethhdr eth;
    struct iphdr ip;
    struct udphdr udp;
    uint32_t word[];
} __attribute__((packed));

struct packet6 {
    struct ethhdr eth;
    struct ipv6hdr ip;
    struct udphdr udp;
    uint32_t word[];
} __attribute__((packed));

/* What has come: who is to be answered, and what they asked. */
struct exchange {
    uint8_t from_mac[ETH_ALEN], to_mac[ETH_ALEN];
    uint32_t from[4], to[4]; /* of IPv4 the last word */
    uint16_t from_port, to_port;
    uint32_t question[STUN_HEADER_WORDS];
};

INLINE void count(enum stun_count what)
{
    uint32_t zero = 0;
    struct xdp_counts *c = bpf_map_lookup_elem(&counts, &zero);

    if (c)
        c->of[what]++;
}

INLINE int drop(enum stun_count why)
{
    count(STUN_COUNT_REQUESTS);
    count(why);
    return XDP_DROP;
}

/* Internet checksum (RFC 1071): of words, of which halves are what is summed, in any order. */
INLINE uint64_t sum_words(uint64_t sum, const uint32_t *word, unsigned n)
{
#pragma GCC unroll 16
    for (unsigned i = 0; i < n; i++)
        sum += word[i];
    return sum;
}

INLINE uint16_t fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Of the pseudo-header and UDP's own but for its checksum. That IPv4 is mapped changes nothing:
 * 0xffff counts as zero. */
INLINE uint64_t sum_udp(const struct exchange *e, unsigned bytes)
{
    uint64_t sum = sum_words(0, e->from, 4);

    sum = sum_words(sum, e->to, 4);
    sum += stun_be32(IPPROTO_UDP);
    return sum + e->from_port + e->to_port + 2ull * stun_be16((uint16_t)bytes);
}

INLINE bool ours(const struct exchange *e)
{
    struct xdp_address key = { .port = e->to_port };

#pragma GCC unroll 4
    for (unsigned i = 0; i < 4; i++)
        key.ip[i] = e->to[i];
    return bpf_map_lookup_elem(&addresses, &key) != 0;
}

/* Of the datagram at `word`, so many bytes with UDP's header, sent to us: XDP_TX if it is a
 * question to be answered. */
INLINE int judge(const uint32_t *word, const void *end, unsigned bytes)
{
    uint32_t head;

    if (bytes < sizeof(struct udphdr) + STUN_HEADER)
        return drop(STUN_COUNT_DROP_MALFORMED);
    if ((const void *)(word + STUN_HEADER_WORDS) > end)
        return XDP_PASS;
    head = stun_be32(word[0]);
    if (head >> 30 != 0 || word[1] != stun_be32(STUN_COOKIE))
        return drop(STUN_COUNT_DROP_MALFORMED);
    if (head >> 16 != STUN_BINDING_REQUEST)
        return drop(STUN_COUNT_DROP_OTHER);
    if ((head & 0xffff) != 0 || bytes != sizeof(struct udphdr) + STUN_HEADER ||
        (const void *)(word + STUN_HEADER_WORDS) != end)
        return XDP_PASS;
    return XDP_TX;
}

INLINE bool within_rate(uint64_t prefix)
{
    uint64_t key[2] = { terms.key[0], terms.key[1] }, tag;
    struct place *p;
    uint32_t at;

    if (terms.prefix_rate == 0)
        return true;
    tag = place_tag(key, prefix);
    at = (uint32_t)(tag % RATE_PLACES);
    p = bpf_map_lookup_elem(&places, &at);
    return p && place_take(p, tag, (uint32_t)(bpf_ktime_get_coarse_ns() / NS_A_SECOND),
                           terms.prefix_rate);
}

/* XDP_TX: the question is taken. Not for senders whom only the kernel can judge (`may_ask`). */
INLINE int take_question(struct exchange *e,
                         const struct ethhdr *eth,
                         const struct udphdr *udp,
                         const void *end,
                         bool may_ask,
                         uint64_t prefix)
{
    const uint32_t *word = (const void *)(udp + 1);
    unsigned bytes = stun_be16(udp->len);
    int r = judge(word, end, bytes);

    if (r != XDP_TX)
        return r;
    if (!may_ask || e->from_port == 0 || (const void *)(word + STUN_HEADER_WORDS) > end)
        return XDP_PASS;
    __builtin_memcpy(e->from_mac, eth->h_source, ETH_ALEN);
    __builtin_memcpy(e->to_mac, eth->h_dest, ETH_ALEN);
#pragma GCC unroll 8
    for (unsigned i = 0; i < STUN_HEADER_WORDS; i++)
        e->question[i] = word[i];
    if (udp->check != 0 &&
        fold(sum_words(sum_udp(e, bytes) + udp->check, e->question, STUN_HEADER_WORDS)) != 0xffff)
        return XDP_PASS;
    return within_rate(prefix) ? XDP_TX : drop(STUN_COUNT_DROP_RATE);
}

INLINE int answered(void)
{
    count(STUN_COUNT_REQUESTS);
    count(STUN_COUNT_ANSWERS);
    return XDP_TX;
}

/* Headers around an answer that is there already. */
INLINE void address_eth(struct ethhdr *eth, const struct exchange *e, uint16_t protocol)
{
    __builtin_memcpy(eth->h_dest, e->from_mac, ETH_ALEN);
    __builtin_memcpy(eth->h_source, e->to_mac, ETH_ALEN);
    eth->h_proto = stun_be16(protocol);
}

INLINE void
address_udp(struct udphdr *udp, const struct exchange *e, const uint32_t *word, unsigned words)
{
    unsigned bytes = sizeof(*udp) + 4 * words;

    udp->source = e->to_port;
    udp->dest = e->from_port;
    udp->len = stun_be16((uint16_t)bytes);
    udp->check = ~fold(sum_words(sum_udp(e, bytes), word, words));
    if (udp->check == 0) /* which says that there is none */
        udp->check = 0xffff;
}

/* --- IPv4 --- */

INLINE uint16_t fold_ip(const struct iphdr *ip)
{
    uint32_t word[sizeof(*ip) / 4];

    __builtin_memcpy(word, ip, sizeof(word));
    return fold(sum_words(0, word, sizeof(word) / 4));
}

/* From any network and to all are nobody's addresses. */
INLINE bool may_ask4(const struct iphdr *ip)
{
    uint8_t first = (uint8_t)(stun_be32(ip->saddr) >> 24);

    return first != 0 && first != 127 && first < 224 && fold_ip(ip) == 0xffff;
}

INLINE int send4(struct xdp_md *ctx, const struct exchange *e)
{
    uint32_t word[STUN_ANSWER_WORDS(STUN_IPV4_WORDS)];
    struct packet4 *a;

    stun_answer_words(e->question, e->from + 3, STUN_IPV4_WORDS, e->from_port, &terms.crc, word);
    if (bpf_xdp_adjust_head(ctx, STUN_HEADER - (int)sizeof(word)) < 0)
        return drop(STUN_COUNT_DROP_SEND);
    a = (void *)(long)ctx->data;
    if ((void *)(a->word + sizeof(word) / 4) > (void *)(long)ctx->data_end)
        return XDP_DROP;
    __builtin_memcpy(a->word, word, sizeof(word));
    address_eth(&a->eth, e, ETH_P_IP);
    address_udp(&a->udp, e, word, sizeof(word) / 4);
    a->ip = (struct iphdr){ .version = 4,
                            .ihl = sizeof(a->ip) / 4,
                            .tot_len = stun_be16(sizeof(a->ip) + sizeof(a->udp) + sizeof(word)),
                            .frag_off = stun_be16(DONT_FRAGMENT),
                            .ttl = TTL,
                            .protocol = IPPROTO_UDP,
                            .saddr = e->to[3],
                            .daddr = e->from[3] };
    a->ip.check = ~fold_ip(&a->ip);
    return answered();
}

INLINE int over_ipv4(struct xdp_md *ctx)
{
    const struct packet4 *q = (void *)(long)ctx->data;
    const void *end = (void *)(long)ctx->data_end;
    struct exchange e = { 0 };
    int r;

    if ((const void *)q->word > end || q->ip.version != 4 || q->ip.ihl != sizeof(q->ip) / 4 ||
        q->ip.protocol != IPPROTO_UDP || (q->ip.frag_off & stun_be16(FRAGMENT)) != 0)
        return XDP_PASS;
    e.from[2] = e.to[2] = stun_be32(0xffff);
    e.from[3] = q->ip.saddr;
    e.to[3] = q->ip.daddr;
    e.from_port = q->udp.source;
    e.to_port = q->udp.dest;
    if (!ours(&e))
        return XDP_PASS;
    r = take_question(&e, &q->eth, &q->udp, end, may_ask4(&q->ip), 1ull << 32 | e.from[3]);
    return r == XDP_TX ? send4(ctx, &e) : r;
}

/* --- IPv6 --- */

/* The unicast of the world (2000::/3) and of sites (fc00::/7). */
INLINE bool may_ask6(const struct exchange *e)
{
    uint8_t first = (uint8_t)(stun_be32(e->from[0]) >> 24);

    return (first & 0xe0) == 0x20 || (first & 0xfe) == 0xfc;
}

INLINE int send6(struct xdp_md *ctx, const struct exchange *e)
{
    uint32_t word[STUN_ANSWER_WORDS(STUN_IPV6_WORDS)];
    struct packet6 *a;

    stun_answer_words(e->question, e->from, STUN_IPV6_WORDS, e->from_port, &terms.crc, word);
    if (bpf_xdp_adjust_head(ctx, STUN_HEADER - (int)sizeof(word)) < 0)
        return drop(STUN_COUNT_DROP_SEND);
    a = (void *)(long)ctx->data;
    if ((void *)(a->word + sizeof(word) / 4) > (void *)(long)ctx->data_end)
        return XDP_DROP;
    __builtin_memcpy(a->word, word, sizeof(word));
    address_eth(&a->eth, e, ETH_P_IPV6);
    address_udp(&a->udp, e, word, sizeof(word) / 4);
    a->ip = (struct ipv6hdr){ .version = 6,
                              .payload_len = stun_be16(sizeof(a->udp) + sizeof(word)),
                              .nexthdr = IPPROTO_UDP,
                              .hop_limit = TTL };
    __builtin_memcpy(&a->ip.saddr, e->to, sizeof(e->to));
    __builtin_memcpy(&a->ip.daddr, e->from, sizeof(e->from));
    return answered();
}

INLINE int over_ipv6(struct xdp_md *ctx)
{
    const struct packet6 *q = (void *)(long)ctx->data;
    const void *end = (void *)(long)ctx->data_end;
    struct exchange e = { 0 };
    int r;

    if ((const void *)q->word > end || q->ip.version != 6 || q->ip.nexthdr != IPPROTO_UDP)
        return XDP_PASS;
    __builtin_memcpy(e.from, &q->ip.saddr, sizeof(e.from));
    __builtin_memcpy(e.to, &q->ip.daddr, sizeof(e.to));
    e.from_port = q->udp.source;
    e.to_port = q->udp.dest;
    if (!ours(&e))
        return XDP_PASS;
    r = take_question(&e, &q->eth, &q->udp, end, may_ask6(&e) && q->udp.check != 0,
                      (uint64_t)e.from[1] << 32 | e.from[0]);
    return r == XDP_TX ? send6(ctx, &e) : r;
}

SEC("xdp")
int answer(struct xdp_md *ctx)
{
    const struct ethhdr *eth = (void *)(long)ctx->data;

    if ((const void *)(eth + 1) > (void *)(long)ctx->data_end)
        return XDP_PASS;
    switch (stun_be16(eth->h_proto)) {
    case ETH_P_IP:
        return over_ipv4(ctx);
    case ETH_P_IPV6:
        return over_ipv6(ctx);
    default:
        return XDP_PASS;
    }
}

char licence[] SEC("license") = "Apache-2.0"; /* no helper asks for the GPL */
