#include "libcommon/net/target.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "libcommon/base/alloc.h"

static int look_up(struct rk_target *t, const char *port, int socktype, struct rk_err *err)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = socktype }, *found;
    int r = getaddrinfo(t->host, port, &hints, &found);

    if (r != 0)
        return rk_fail(err, RK_NOT_FOUND, "%s: %s", t->host, gai_strerror(r));
    memcpy(&t->addr.ss, found->ai_addr, found->ai_addrlen);
    t->addr.len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static void target_free(struct rk_target *t)
{
    free(t->host);
    free(t->authority);
    free(t);
}

static int get(struct rk_targets *all,
               struct rk_str host,
               unsigned port,
               bool tls,
               int socktype,
               struct rk_target **out,
               struct rk_err *err)
{
    bool six = memchr(host.p, ':', host.n) != NULL;
    char authority[320], number[8];
    struct rk_target *t;
    int r;

    if (host.n == 0 || host.n > 255 || port == 0 || port > 65535)
        return rk_fail(err, RK_INVALID, "'%.*s' is no host", RK_STR_FMT(host));
    (void)snprintf(number, sizeof(number), "%u", port);
    (void)snprintf(authority, sizeof(authority), six ? "[%.*s]:%u" : "%.*s:%u", RK_STR_FMT(host),
                   port);
    for (unsigned i = 0; i < all->count; i++)
        if (strcmp(all->target[i]->authority, authority) == 0 && all->target[i]->tls == tls) {
            *out = all->target[i];
            return 0;
        }
    if (all->count == RK_TARGETS_MAX)
        return rk_fail(err, RK_EXHAUSTED, "more than %d servers", RK_TARGETS_MAX);
    t = rk_new(struct rk_target);
    t->host = rk_strndup(host.p, host.n);
    t->authority = rk_strdup(authority);
    t->tls = tls;
    r = look_up(t, number, socktype, err);
    if (r < 0) {
        target_free(t);
        return r;
    }
    *out = all->target[all->count++] = t;
    return 0;
}

int rk_targets_get(struct rk_targets *t,
                   struct rk_str url,
                   struct rk_target **out,
                   struct rk_err *err)
{
    struct rk_str scheme, host;
    uint16_t port;
    bool tls;
    int r = rk_url_parse(url, &scheme, &host, &port, err);

    if (r < 0)
        return r;
    tls = rk_str_eq(scheme, RK_STR("https")) || rk_str_eq(scheme, RK_STR("rels"));
    if (!tls && !rk_str_eq(scheme, RK_STR("http")) && !rk_str_eq(scheme, RK_STR("rel")))
        return rk_fail(err, RK_INVALID, "'%.*s': not http, https, rel or rels", RK_STR_FMT(url));
    if (port == 0)
        port = tls ? 443 : 80;
    return get(t, host, port, tls, SOCK_STREAM, out, err);
}

int rk_targets_get_bare(struct rk_targets *t,
                        struct rk_str text,
                        unsigned default_port,
                        bool tls,
                        int socktype,
                        struct rk_target **out,
                        struct rk_err *err)
{
    uint64_t port = default_port;
    const char *colon;

    if (rk_str_starts(text, RK_STR("stun:")))
        text = rk_strn(text.p + 5, text.n - 5);
    colon = memrchr(text.p, ':', text.n);
    if (colon && (text.p[0] != '[' || colon[-1] == ']') &&
        !rk_str_u64(rk_strn(colon + 1, text.n - (size_t)(colon + 1 - text.p)), &port))
        return rk_fail(err, RK_INVALID, "'%.*s' has no port", RK_STR_FMT(text));
    if (colon && (text.p[0] != '[' || colon[-1] == ']'))
        text.n = (size_t)(colon - text.p);
    if (text.n >= 2 && text.p[0] == '[')
        text = rk_strn(text.p + 1, text.n - 2);
    return get(t, text, port > 65535 ? 0 : (unsigned)port, tls, socktype, out, err);
}

void rk_targets_done(struct rk_targets *t)
{
    for (unsigned i = 0; i < t->count; i++)
        target_free(t->target[i]);
    t->count = 0;
}
