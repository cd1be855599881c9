#include "libcommon/net/ws_upgrade.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "libcommon/base/encode.h"
#include "libcommon/conf/addr.h"

struct request {
    struct rk_str method, target, version;
    struct rk_str connection, upgrade, ws_version, ws_key;
};

/* Length of the head with its blank line, 0 when it is not complete. Bare LF ends a line too. */
static size_t head_length(const uint8_t *p, size_t n)
{
    const uint8_t *at = p, *end = p + n, *nl;

    while ((nl = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        size_t line = (size_t)(nl - at);

        if ((line == 0 || (line == 1 && at[0] == '\r')) && at != p)
            return (size_t)(nl + 1 - p);
        at = nl + 1;
    }
    return 0;
}

static struct rk_str next_line(struct rk_str *rest)
{
    const char *nl = memchr(rest->p, '\n', rest->n);
    struct rk_str line = *rest;

    if (nl) {
        line.n = (size_t)(nl - rest->p);
        rest->p = nl + 1;
        rest->n -= line.n + 1;
    } else {
        rest->n = 0;
    }
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

static int request_line(struct rk_str line, struct request *r)
{
    const char *a = memchr(line.p, ' ', line.n);
    const char *b = a ? memchr(a + 1, ' ', line.n - (size_t)(a + 1 - line.p)) : NULL;

    if (!b)
        return 400;
    r->method = rk_strn(line.p, (size_t)(a - line.p));
    r->target = rk_strn(a + 1, (size_t)(b - a - 1));
    r->version = rk_strn(b + 1, line.n - (size_t)(b + 1 - line.p));
    if (r->method.n == 0 || r->target.n == 0 || r->target.p[0] != '/')
        return 400;
    if (!rk_str_eq(r->version, RK_STR("HTTP/1.1")) && !rk_str_eq(r->version, RK_STR("HTTP/1.0")))
        return 400;
    return 0;
}

static int header_line(struct rk_str line, struct request *r, struct rk_ws_upgrade *out)
{
    const char *colon = memchr(line.p, ':', line.n);
    struct rk_str name, value;
    struct {
        struct rk_str name;
        struct rk_str *to;
    } wanted[] = {
        { RK_STR("connection"), &r->connection },
        { RK_STR("upgrade"), &r->upgrade },
        { RK_STR("sec-websocket-version"), &r->ws_version },
        { RK_STR("sec-websocket-key"), &r->ws_key },
        { RK_STR("x-real-ip"), &out->real_ip },
        { RK_STR("x-real-port"), &out->real_port },
        { RK_STR("x-forwarded-for"), &out->forwarded_for },
    };

    if (!colon || colon == line.p || line.p[0] == ' ' || line.p[0] == '\t')
        return 400;
    name = rk_strn(line.p, (size_t)(colon - line.p));
    if (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t')
        return 400;
    value = rk_str_trim(rk_strn(colon + 1, line.n - name.n - 1));
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < 0x20 && value.p[i] != '\t')
            return 400;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (rk_str_ieq(name, wanted[i].name))
            *wanted[i].to = value;
    return 0;
}

/* `list` holds `token` among its comma-separated members, in any case. */
static bool has_token(struct rk_str list, struct rk_str token)
{
    struct rk_str part;

    while (list.n > 0 && rk_str_next(&list, ',', &part))
        if (rk_str_ieq(rk_str_trim(part), token))
            return true;
    return false;
}

static void accept_key(struct rk_str key, char out[29])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t in[24 + sizeof(guid) - 1], digest[EVP_MAX_MD_SIZE];

    memcpy(in, key.p, 24);
    memcpy(in + 24, guid, sizeof(guid) - 1);
    EVP_Digest(in, sizeof(in), digest, NULL, EVP_sha1(), NULL);
    rk_b64_encode(digest, 20, out);
}

static int check(const struct request *r, struct rk_str want, struct rk_ws_upgrade *out)
{
    struct rk_str path = r->target;
    const char *query = memchr(path.p, '?', path.n);
    uint8_t nonce[32];
    size_t nonce_n;

    if (query)
        path.n = (size_t)(query - path.p);
    if (!rk_str_eq(path, want))
        return 404;
    if (!rk_str_eq(r->version, RK_STR("HTTP/1.1")) ||
        !has_token(r->connection, RK_STR("upgrade")) || !has_token(r->upgrade, RK_STR("websocket")))
        return 426;
    if (!rk_str_eq(r->method, RK_STR("GET")))
        return 405;
    if (!rk_str_eq(r->ws_version, RK_STR("13")))
        return 400;
    if (r->ws_key.n != 24 || !rk_b64_decode(r->ws_key, nonce, sizeof(nonce), &nonce_n) ||
        nonce_n != 16)
        return 400;
    accept_key(r->ws_key, out->accept);
    return 101;
}

int rk_ws_upgrade_parse(const uint8_t *p, size_t n, struct rk_str path, struct rk_ws_upgrade *out)
{
    struct request r = { 0 };
    size_t whole = head_length(p, n < RK_WS_UPGRADE_MAX_BYTES ? n : RK_WS_UPGRADE_MAX_BYTES);
    struct rk_str rest = rk_strn(p, whole), line;
    unsigned headers = 0;
    int status;

    /* A request begins with a method: anything else (a TLS hello, garbage) needs no further bytes.
     */
    if (n > 0 && (p[0] < 'A' || p[0] > 'Z'))
        return 400;
    if (whole == 0)
        return n >= RK_WS_UPGRADE_MAX_BYTES ? 431 : 0;
    *out = (struct rk_ws_upgrade){ .whole = whole };
    status = request_line(next_line(&rest), &r);
    while (status == 0 && rest.n > 0) {
        line = next_line(&rest);
        if (line.n == 0)
            break;
        if (++headers > RK_WS_UPGRADE_MAX_HEADERS)
            return 431;
        status = header_line(line, &r, out);
    }
    return status ? status : check(&r, path, out);
}

bool rk_ws_upgrade_real_addr(const struct rk_ws_upgrade *u, struct sockaddr_in6 *out)
{
    char text[RK_ADDR_LEN];
    struct rk_addr addr;
    bool v6 = u->real_ip.n > 0 && memchr(u->real_ip.p, ':', u->real_ip.n) != NULL;

    if (u->real_ip.n == 0 || u->real_ip.n > 45 || u->real_port.n == 0 || u->real_port.n > 5)
        return false;
    (void)snprintf(text, sizeof(text), v6 ? "[%.*s]:%.*s" : "%.*s:%.*s", RK_STR_FMT(u->real_ip),
                   RK_STR_FMT(u->real_port));
    if (rk_addr_parse(rk_str(text), &addr, NULL) < 0 || addr.len > sizeof(*out))
        return false;
    memcpy(out, &addr.ss, addr.len);
    return true;
}

static const char *reason(int status)
{
    switch (status) {
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 426:
        return "Upgrade Required";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return "Bad Request";
    }
}

size_t rk_ws_upgrade_reply(int status, const struct rk_ws_upgrade *u, char out[RK_WS_REPLY_MAX])
{
    const char *extra = status == 426   ? "Connection: Upgrade, close\r\nUpgrade: websocket\r\n"
                        : status == 405 ? "Allow: GET\r\nConnection: close\r\n"
                                        : "Connection: close\r\n";

    if (status == 101)
        return (size_t)snprintf(out, RK_WS_REPLY_MAX,
                                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                                u->accept);
    return (size_t)snprintf(out, RK_WS_REPLY_MAX,
                            "HTTP/1.1 %d %s\r\n%sSec-WebSocket-Version: 13\r\n"
                            "Content-Length: 0\r\n\r\n",
                            status, reason(status), extra);
}
