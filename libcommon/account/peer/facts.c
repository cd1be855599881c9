/* What every event of a peer says of it. */

#include "libcommon/account/store/int.h"

#include <stdio.h>

#include "libcommon/base/json.h"

static const struct rk_pg_stmt read_facts = {
    "peer_facts",
    "SELECT p.id, p.name, p.dns_label, coalesce(nullif(a.settings->>'dns_domain', ''), $2), "
    "host(p.ip), host(p.ip6), coalesce(nullif(s.connection_ip, ''), p.location_ip), "
    "p.country_code, p.city_name, p.geoname_id, p.created_at, p.user_id, "
    "'wasm' IN (p.meta->>'kernel', p.meta->>'kernelVersion') "
    "FROM peer p JOIN account a ON a.id = p.account_id "
    "LEFT JOIN peer_status s ON s.peer_id = p.id WHERE p.account_id = $1 AND p.id = "
    "ANY($3::text[]) "
    "ORDER BY p.id"
};
enum {
    ID,
    NAME,
    LABEL,
    DOMAIN,
    IP,
    IP6,
    CONNECTION_IP,
    COUNTRY,
    CITY,
    GEONAME,
    CREATED,
    USER,
    WASM,
};

int peer_facts_load(struct rk_change *ch,
                    const struct rk_str *ids,
                    size_t n,
                    const char *default_domain,
                    struct rk_pg_result **out,
                    struct rk_err *err)
{
    return rk_pg_run(rk_change_pg(ch), &read_facts, out, err, RK_P_C(rk_change_account_id(ch)),
                     RK_P_C(default_domain), RK_P_ARRAY(ids, n));
}

void peer_facts_read(const struct rk_pg_result *res, int row, struct peer_facts *out)
{
    *out = (struct peer_facts){
        .id = rk_pg_str(res, row, ID),
        .user_id = rk_pg_str(res, row, USER),
        .wasm = rk_pg_bool(res, row, WASM),
        .name = rk_pg_str(res, row, NAME),
        .label = rk_pg_str(res, row, LABEL),
        .domain = rk_pg_str(res, row, DOMAIN),
        .ip = rk_pg_str(res, row, IP),
        .ip6 = rk_pg_str(res, row, IP6),
        .connection_ip = rk_pg_str(res, row, CONNECTION_IP),
        .country_code = rk_pg_str(res, row, COUNTRY),
        .city_name = rk_pg_str(res, row, CITY),
        .geoname_id = rk_pg_int(res, row, GEONAME),
        .created_at_us = rk_pg_time(res, row, CREATED),
    };
}

void peer_facts_json(const struct peer_facts *f,
                     const char *extra_key,
                     struct rk_str extra,
                     struct rk_buf *out)
{
    char fqdn[512];
    struct rk_json j;

    snprintf(fqdn, sizeof(fqdn), "%.*s%s%.*s", RK_STR_FMT(f->label), f->domain.n ? "." : "",
             RK_STR_FMT(f->domain));
    rk_json_init(&j, out);
    rk_json_object(&j, NULL);
    rk_json_str(&j, "name", f->name);
    rk_json_cstr(&j, "fqdn", fqdn);
    rk_json_str(&j, "ip", f->ip);
    if (f->ip6.n)
        rk_json_str(&j, "ipv6", f->ip6);
    rk_json_time(&j, "created_at", f->created_at_us);
    rk_json_str(&j, "location_city_name", f->city_name);
    rk_json_str(&j, "location_country_code", f->country_code);
    rk_json_int(&j, "location_geo_name_id", f->geoname_id);
    rk_json_str(&j, "location_connection_ip", f->connection_ip);
    if (extra_key)
        rk_json_str(&j, extra_key, extra);
    rk_json_object_end(&j);
}
