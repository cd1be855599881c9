#include "services/relay/config.h"

#include <stddef.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/conf/addr.h"
#include "services/relay/wire/message.h"

#define AT(member) offsetof(struct relay_config, member)

static const struct rk_setting rows[] = {
    { .key = "listen",
      .type = RK_SET_STRING,
      .offset = AT(listen),
      .def = "127.0.0.1:8083",
      .help = "address for agents, host:port" },
    { .key = "tls_cert_file",
      .type = RK_SET_STRING,
      .offset = AT(tls_cert_file),
      .help = "certificate chain, PEM; empty: clear text" },
    { .key = "tls_key_file",
      .type = RK_SET_STRING,
      .offset = AT(tls_key_file),
      .help = "private key, PEM; both are read again when they change" },
    { .key = "relay_secret",
      .type = RK_SET_SECRET,
      .offset = AT(relay_secret),
      .required = true,
      .help = "shared by management and every relay; signs agents' tokens" },
    { .key = "relay_secret_file",
      .type = RK_SET_SECRET_FILE,
      .offset = AT(relay_secret_file),
      .help = "file that holds relay_secret",
      .secret_offset = AT(relay_secret) },
    { .key = "exposed_url",
      .type = RK_SET_STRING,
      .offset = AT(exposed_url),
      .required = true,
      .help = "this instance's own URL as agents reach it, rel://host:port or rels://host:port" },
    RK_EDGE_SETTINGS(struct relay_config, edge),
    { .key = "trusted_proxies",
      .type = RK_SET_STRING,
      .offset = AT(trusted_proxies),
      .help = "CIDR list whose X-Real-Ip and X-Real-Port name the agent in the log" },
    { .key = "loops",
      .type = RK_SET_INT,
      .offset = AT(loops),
      .def = "0",
      .max = 256,
      .help = "threads; 0: one a core" },
    { .key = "queue_bytes",
      .type = RK_SET_INT,
      .offset = AT(queue_bytes),
      .def = "524288",
      .min = 65536,
      .max = 64 << 20,
      .help = "bytes queued for one receiver before its newest data is dropped" },
    { .key = "queue_total_bytes",
      .type = RK_SET_INT,
      .offset = AT(queue_total_bytes),
      .def = "1073741824",
      .min = 64 << 20,
      .max = (int64_t)1 << 40,
      .help = "bytes queued for all receivers together, each loop an equal share, before those who "
              "are behind get nothing new" },
    { .key = "max_connections",
      .type = RK_SET_INT,
      .offset = AT(max_connections),
      .def = "100000",
      .min = 1,
      .max = 10000000,
      .help = "open connections; more are closed at once" },
};

static int check(const void *config, struct rk_err *err)
{
    const struct relay_config *c = config;
    rk_auto(rk_free) void *url = NULL;
    struct rk_cidrs *cidrs;
    struct rk_addr addr;
    int r;

    r = rk_addr_parse(rk_str(c->listen), &addr, err);
    if (r < 0)
        return r;
    if (!c->tls_cert_file[0] != !c->tls_key_file[0])
        return rk_fail(err, RK_INVALID, "tls_cert_file and tls_key_file: set both or neither");
    cidrs = rk_cidrs_parse(rk_str(c->trusted_proxies), err);
    if (!cidrs)
        return RK_INVALID;
    rk_cidrs_free(cidrs);
    url = relay_instance_url(c, err);
    return url ? rk_edge_config_check(&c->edge, url, RK_EDGE_RELAY, c->relay_secret, err)
               : RK_INVALID;
}

const struct rk_settings_table relay_settings = {
    .service = "relay",
    .summary = "Relays encrypted traffic between agents that cannot reach each other directly.",
    .rows = rows,
    .count = RK_COUNT(rows),
    .check = check,
};

char *relay_instance_url(const struct relay_config *c, struct rk_err *err)
{
    rk_auto(rk_free) void *url = NULL;
    bool tls = c->tls_cert_file[0] != 0;
    struct rk_str text = rk_str(c->exposed_url), scheme, host;
    uint16_t port;

    if (memmem(text.p, text.n, "://", 3) == NULL)
        url = rk_asprintf("%s%s", tls ? "rels://" : "rel://", c->exposed_url);
    else
        url = rk_strdup(c->exposed_url);
    text = rk_str(url);
    /* Agents compare the text: one spelling only. */
    if (rk_str_ends(text, RK_STR("/"))) {
        rk_fail(err, RK_INVALID, "exposed_url: write it without the slash at its end");
        return NULL;
    }
    if (text.n > RELAY_MAX_AUTH_RESPONSE - 2) {
        rk_fail(err, RK_INVALID, "exposed_url: longer than %d bytes", RELAY_MAX_AUTH_RESPONSE - 2);
        return NULL;
    }
    if (rk_url_parse(text, &scheme, &host, &port, err) < 0)
        return NULL;
    if (!rk_str_eq(scheme, RK_STR("rel")) && !rk_str_eq(scheme, RK_STR("rels"))) {
        rk_fail(err, RK_INVALID, "exposed_url: scheme must be rel:// or rels://");
        return NULL;
    }
    if (tls && rk_str_eq(scheme, RK_STR("rel"))) {
        rk_fail(err, RK_INVALID, "exposed_url: rel:// although TLS is configured; write rels://");
        return NULL;
    }
    return rk_steal(url);
}
