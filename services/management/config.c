/* The settings table of management: parser, --help and --check-config in one. */

#include "services/management/config.h"

#include "libcommon/base/alloc.h"
#include "libcommon/conf/addr.h"
#include "libcommon/crypto/seal.h"
#include "libcommon/crypto/token.h"
#include "libcommon/edge/claim.h"

#define ROW(member_, type_, def_, help_)                                                           \
    .key = #member_, .type = type_, .offset = offsetof(struct config, member_), .def = def_,       \
    .help = help_

static const struct rk_setting rows[] = {
    { ROW(listen, RK_SET_STRING, "127.0.0.1:8081", "address of the gRPC service for agents") },
    { ROW(tls_cert_file,
          RK_SET_STRING,
          NULL,
          "certificate chain, PEM; empty = cleartext HTTP/2 (behind a proxy)") },
    { ROW(tls_key_file, RK_SET_STRING, NULL, "its private key, PEM") },
    { ROW(postgres,
          RK_SET_SECRET,
          "host=/run/postgresql dbname=rookery",
          "Postgres conninfo; several hosts allowed") },
    { ROW(postgres_file, RK_SET_SECRET_FILE, NULL, "file that holds postgres"),
      .secret_offset = offsetof(struct config, postgres) },
    RK_RDS_SETTINGS(struct config, redis),
    { ROW(
        secret_key,
        RK_SET_SECRET,
        NULL,
        "32 bytes in base64 that seal the secrets stored in Postgres; the same for all replicas") },
    { ROW(secret_key_file, RK_SET_SECRET_FILE, NULL, "file that holds secret_key"),
      .secret_offset = offsetof(struct config, secret_key) },
    { ROW(
        dns_domain, RK_SET_STRING, "netbird.selfhosted", "DNS domain of accounts that set none") },
    { ROW(signal_url,
          RK_SET_STRING,
          NULL,
          "http://host:port or https://host:port of signal, as agents reach it"),
      .required = true },
    { ROW(relay_urls, RK_SET_STRING, NULL, "comma list of rel://host:port or rels://host:port") },
    { ROW(stun_urls, RK_SET_STRING, NULL, "comma list of stun:host:port") },
    { ROW(relay_secret, RK_SET_SECRET, NULL, "secret shared with the relays") },
    { ROW(relay_secret_file, RK_SET_SECRET_FILE, NULL, "file that holds relay_secret"),
      .secret_offset = offsetof(struct config, relay_secret) },
    { ROW(relay_token_ttl_s, RK_SET_INT, "86400", "life of a relay credential, s"), .min = 1,
      .max = 31536000 },
    { ROW(trusted_proxies,
          RK_SET_STRING,
          NULL,
          "comma list of CIDRs whose X-Forwarded-For is believed") },
    { ROW(geo_database,
          RK_SET_STRING,
          "",
          "city database in MaxMind's format (.mmdb); read again when the file changes; empty = "
          "none") },
    { ROW(workers, RK_SET_INT, "4", "threads with one Postgres connection each"), .min = 1,
      .max = 64 },
    { ROW(map_threads,
          RK_SET_INT,
          "0",
          "threads that make the maps of changes that concern many; 0 = one a core, 4 at most"),
      .min = 0, .max = 64 },
    { ROW(sweep_ms, RK_SET_INT, "3000", "how often serials are compared with Postgres, ms"),
      .min = 100, .max = 600000 },
    { ROW(ephemeral_life_s,
          RK_SET_INT,
          "600",
          "how long an ephemeral peer may be away before it is deleted, s"),
      .min = 1, .max = 31536000 },
    { ROW(component_maps,
          RK_SET_BOOL,
          "false",
          "agents that can make their maps themselves get what they are made of") },
    RK_OIDC_SETTINGS(struct config, oidc),
};

/* One bad URI makes agents discard the whole configuration. */
static int check_list(const char *key,
                      const char *list,
                      enum rk_edge_kind wanted,
                      const char *form,
                      struct rk_err *err)
{
    struct rk_str rest = rk_str(list ? list : ""), part;
    enum rk_edge_kind kind;

    while (rest.n > 0 && rk_str_next(&rest, ',', &part)) {
        part = rk_str_trim(part);
        if (rk_edge_url_check(part, &kind, NULL) < 0 || kind != wanted)
            return rk_fail(err, RK_INVALID, "%s: \"%.*s\" is not of the form %s", key,
                           RK_STR_FMT(part), form);
    }
    return 0;
}

static int check(const void *config, struct rk_err *err)
{
    const struct config *c = config;
    struct rk_str scheme, host;
    struct rk_addr addr;
    struct rk_seal seal;
    uint16_t port;
    int r;

    r = rk_addr_parse(rk_str(c->listen), &addr, err);
    if (r < 0)
        return r;
    r = rk_url_parse(rk_str(c->signal_url), &scheme, &host, &port, err);
    if (r < 0)
        return r;
    if (!rk_str_eq(scheme, RK_STR("http")) && !rk_str_eq(scheme, RK_STR("https")))
        return rk_fail(err, RK_INVALID, "signal_url must begin with http:// or https://");
    r = check_list("relay_urls", c->relay_urls, RK_EDGE_RELAY, "rel://host:port", err);
    if (r < 0)
        return r;
    r = check_list("stun_urls", c->stun_urls, RK_EDGE_STUN, "stun:host:port", err);
    if (r < 0)
        return r;
    if (c->relay_urls && *c->relay_urls && (!c->relay_secret || !*c->relay_secret))
        return rk_fail(err, RK_INVALID,
                       "relay_urls is set but neither relay_secret nor relay_secret_file is");
    r = rk_relay_secret_check(rk_str(c->relay_secret), err);
    if (r < 0)
        return r;
    if (!c->secret_key || !*c->secret_key)
        return rk_fail(err, RK_INVALID,
                       "neither secret_key nor secret_key_file is set (make one with: openssl rand "
                       "-base64 32)");
    r = rk_seal_init(&seal, rk_str(c->secret_key), err);
    if (r < 0)
        return r;
    rk_seal_done(&seal);
    if ((c->tls_cert_file && *c->tls_cert_file) != (c->tls_key_file && *c->tls_key_file))
        return rk_fail(err, RK_INVALID, "tls_cert_file and tls_key_file go together");
    r = rk_rds_config_check(&c->redis, err);
    if (r < 0)
        return r;
    return rk_oidc_config_check(&c->oidc, err);
}

const struct rk_settings_table config_table = {
    .service = "management",
    .summary = "gRPC service for agents: registration, and the network map of every peer",
    .rows = rows,
    .count = RK_COUNT(rows),
    .check = check,
};
