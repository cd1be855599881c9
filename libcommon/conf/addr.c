#include "libcommon/conf/addr.h"

/* Text forms of addresses. Nothing here asks a name server. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "libcommon/base/alloc.h"

#define MAX_CIDRS 1024

/* Cuts "host:port" or "[v6]:port"; false when there is no port. */
static bool split_host_port(struct rk_str s, struct rk_str *out_host, struct rk_str *out_port)
{
    const char *end;

    if (s.n > 0 && s.p[0] == '[') {
        end = memchr(s.p, ']', s.n);
        if (!end || end + 1 >= s.p + s.n || end[1] != ':')
            return false;
        *out_host = rk_strn(s.p + 1, (size_t)(end - s.p - 1));
        end++;
    } else {
        end = s.n > 0 ? memchr(s.p, ':', s.n) : NULL;
        if (!end)
            return false;
        *out_host = rk_strn(s.p, (size_t)(end - s.p));
    }
    *out_port = rk_strn(end + 1, (size_t)(s.p + s.n - end - 1));
    return true;
}

static bool port_of(struct rk_str s, uint16_t *out)
{
    uint64_t v;

    if (s.n > 5 || !rk_str_u64(s, &v) || v > 65535)
        return false;
    *out = (uint16_t)v;
    return true;
}

int rk_addr_parse(struct rk_str s, struct rk_addr *out, struct rk_err *err)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    struct rk_str host, port_text;
    char text[64];
    uint16_t port;
    bool is_v6 = false;

    if (!split_host_port(s, &host, &port_text) || !port_of(port_text, &port))
        return rk_fail(err, RK_INVALID,
                       "'%.*s' is not host:port with a numeric host, such as 127.0.0.1:8082, "
                       "[::1]:8082 or :8082",
                       RK_STR_FMT(s));
    memset(out, 0, sizeof(*out));
    if (host.n == 0 && s.p[0] == ':') {
        is_v6 = true;
        v6.sin6_addr = in6addr_any;
    } else if (rk_str_eq(host, RK_STR("localhost"))) {
        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (!rk_str_copy(host, text, sizeof(text))) {
        return rk_fail(err, RK_INVALID, "'%.*s' is not a numeric address", RK_STR_FMT(host));
    } else if (s.p[0] == '[' && inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        is_v6 = true;
    } else if (inet_pton(AF_INET, text, &v4.sin_addr) != 1) {
        return rk_fail(err, RK_INVALID, "'%.*s' is not a numeric address", RK_STR_FMT(host));
    }
    if (is_v6) {
        v6.sin6_port = htons(port);
        memcpy(&out->ss, &v6, sizeof(v6));
        out->len = sizeof(v6);
    } else {
        v4.sin_port = htons(port);
        memcpy(&out->ss, &v4, sizeof(v4));
        out->len = sizeof(v4);
    }
    return 0;
}

int rk_addr_unix(struct rk_str path, struct rk_addr *out)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    if (path.n == 0 || !rk_str_copy(path, un.sun_path, sizeof(un.sun_path)))
        return RK_INVALID;
    memcpy(&out->ss, &un, sizeof(un));
    out->len = sizeof(un);
    return 0;
}

/* The 16 bytes of an address as IPv6, IPv4 in its mapped form; false for other families. */
static bool as_v6(const struct sockaddr *sa, struct in6_addr *out, uint16_t *out_port)
{
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, sa, sizeof(v6));
        *out = v6.sin6_addr;
        *out_port = ntohs(v6.sin6_port);
        return true;
    }
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, sa, sizeof(v4));
        memset(out, 0, sizeof(*out));
        out->s6_addr[10] = out->s6_addr[11] = 0xff;
        memcpy(&out->s6_addr[12], &v4.sin_addr, 4);
        *out_port = ntohs(v4.sin_port);
        return true;
    }
    return false;
}

static bool ip_text(const struct sockaddr *sa, char out[INET6_ADDRSTRLEN], uint16_t *out_port)
{
    struct in6_addr a;

    if (!as_v6(sa, &a, out_port)) {
        (void)snprintf(out, INET6_ADDRSTRLEN, "%s", sa->sa_family == AF_UNIX ? "unix" : "?");
        *out_port = 0;
        return false;
    }
    if (IN6_IS_ADDR_V4MAPPED(&a)) {
        (void)inet_ntop(AF_INET, &a.s6_addr[12], out, INET6_ADDRSTRLEN);
        return false;
    }
    (void)inet_ntop(AF_INET6, &a, out, INET6_ADDRSTRLEN);
    return true;
}

void rk_addr_format(const struct sockaddr *sa, char out[RK_ADDR_LEN])
{
    char ip[INET6_ADDRSTRLEN];
    uint16_t port;

    if (ip_text(sa, ip, &port))
        (void)snprintf(out, RK_ADDR_LEN, "[%s]:%u", ip, port);
    else
        (void)snprintf(out, RK_ADDR_LEN, "%s:%u", ip, port);
}

void rk_addr_format_ip(const struct sockaddr *sa, char out[RK_ADDR_LEN])
{
    char ip[INET6_ADDRSTRLEN];
    uint16_t port;

    (void)ip_text(sa, ip, &port);
    (void)snprintf(out, RK_ADDR_LEN, "%s", ip);
}

void rk_addr_source(const char *ip, char out[RK_ADDR_LEN])
{
    struct in6_addr a;
    char net[INET6_ADDRSTRLEN];

    if (inet_pton(AF_INET6, ip, &a) != 1) {
        (void)snprintf(out, RK_ADDR_LEN, "%s", ip);
        return;
    }
    memset(&a.s6_addr[8], 0, 8);
    (void)inet_ntop(AF_INET6, &a, net, sizeof(net));
    (void)snprintf(out, RK_ADDR_LEN, "%s/64", net);
}

struct cidr {
    struct in6_addr net;
    unsigned bits; /* 0..128, of the IPv6 form */
};

struct rk_cidrs {
    size_t count;
    struct cidr list[];
};

static bool cidr_parse(struct rk_str s, struct cidr *out)
{
    struct rk_str ip = { NULL, 0 };
    struct in_addr v4;
    char text[64];
    uint64_t bits, widest;
    bool given;

    if (!rk_str_next(&s, '/', &ip) || !rk_str_copy(ip, text, sizeof(text)))
        return false;
    given = s.p != NULL;
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, &v4) == 1) {
        out->net.s6_addr[10] = out->net.s6_addr[11] = 0xff;
        memcpy(&out->net.s6_addr[12], &v4, 4);
        widest = 32;
    } else if (inet_pton(AF_INET6, text, &out->net) == 1) {
        widest = 128;
    } else {
        return false;
    }
    bits = widest;
    if (given && (!rk_str_u64(s, &bits) || bits > widest))
        return false;
    out->bits = (unsigned)(bits + 128 - widest);
    return true;
}

struct rk_cidrs *rk_cidrs_parse(struct rk_str s, struct rk_err *err)
{
    struct rk_cidrs *c = rk_zalloc(sizeof(*c));
    struct rk_str part;

    while (rk_str_next(&s, ',', &part)) {
        part = rk_str_trim(part);
        if (part.n == 0)
            continue;
        c = rk_realloc(c, sizeof(*c) + (c->count + 1) * sizeof(c->list[0]));
        if (c->count >= MAX_CIDRS || !cidr_parse(part, &c->list[c->count])) {
            (void)rk_fail(err, RK_INVALID, "'%.*s' is not an address or CIDR such as 10.0.0.0/8",
                          RK_STR_FMT(part));
            free(c);
            return NULL;
        }
        c->count++;
    }
    return c;
}

void rk_cidrs_free(struct rk_cidrs *c)
{
    free(c);
}

bool rk_cidrs_contains(const struct rk_cidrs *c, const struct sockaddr *sa)
{
    struct in6_addr a;
    uint16_t port;

    if (!c || !as_v6(sa, &a, &port))
        return false;
    for (size_t i = 0; i < c->count; i++) {
        const struct cidr *net = &c->list[i];
        unsigned whole = net->bits / 8, rest = net->bits % 8;

        if (memcmp(&a, &net->net, whole) != 0)
            continue;
        if (rest == 0 || (a.s6_addr[whole] ^ net->net.s6_addr[whole]) >> (8 - rest) == 0)
            return true;
    }
    return false;
}

static uint16_t default_port(struct rk_str scheme)
{
    static const struct {
        const char *scheme;
        uint16_t port;
    } known[] = { { "http", 80 }, { "https", 443 }, { "rel", 80 }, { "rels", 443 } };

    for (size_t i = 0; i < RK_COUNT(known); i++)
        if (rk_str_eq(scheme, rk_str(known[i].scheme)))
            return known[i].port;
    return 0;
}

int rk_url_parse(struct rk_str url,
                 struct rk_str *out_scheme,
                 struct rk_str *out_host,
                 uint16_t *out_port,
                 struct rk_err *err)
{
    const char *sep = url.n > 0 ? memmem(url.p, url.n, "://", 3) : NULL;
    struct rk_str scheme, rest, host, port_text;
    uint16_t port;

    if (!sep || sep == url.p)
        return rk_fail(err, RK_INVALID, "'%.*s' is not scheme://host:port", RK_STR_FMT(url));
    scheme = rk_strn(url.p, (size_t)(sep - url.p));
    rest = rk_strn(sep + 3, url.n - scheme.n - 3);
    if (rest.n > 0 && rest.p[rest.n - 1] == '/')
        rest.n--;
    for (size_t i = 0; i < rest.n; i++)
        if ((unsigned char)rest.p[i] <= ' ' || strchr("/@?#", rest.p[i]))
            return rk_fail(err, RK_INVALID, "'%.*s' has more than scheme://host:port",
                           RK_STR_FMT(url));
    if (split_host_port(rest, &host, &port_text)) {
        if (!port_of(port_text, &port) || port == 0)
            return rk_fail(err, RK_INVALID, "'%.*s' has a bad port", RK_STR_FMT(url));
    } else {
        host = rest;
        if (host.n > 1 && host.p[0] == '[' && host.p[host.n - 1] == ']')
            host = rk_strn(host.p + 1, host.n - 2);
        port = default_port(scheme);
        if (port == 0)
            return rk_fail(err, RK_INVALID, "'%.*s' lacks a port", RK_STR_FMT(url));
    }
    if (host.n == 0)
        return rk_fail(err, RK_INVALID, "'%.*s' lacks a host", RK_STR_FMT(url));
    if (memchr(host.p, '[', host.n) || memchr(host.p, ']', host.n))
        return rk_fail(err, RK_INVALID, "'%.*s' has a bad host", RK_STR_FMT(url));
    *out_scheme = scheme;
    *out_host = host;
    *out_port = port;
    return 0;
}
