/* What an agent says of itself: its digest, its stored form, and the changes of it. */

#include "libcommon/account/peer/peers.h"

#include <string.h>

#include "libcommon/account/store/int.h"
#include "libcommon/base/json.h"
#include "libcommon/crypto/hash.h"

#define META_MAX_BYTES ((size_t)4 << 20)

static const char *const flag_names[] = {
    NULL,
    "rosenpassEnabled",
    "rosenpassPermissive",
    "serverSSHAllowed",
    "disableClientRoutes",
    "disableServerRoutes",
    "disableDNS",
    "disableFirewall",
    "blockLANAccess",
    "blockInbound",
    "lazyConnectionEnabled",
    "enableSSHRoot",
    "enableSSHSFTP",
    "enableSSHLocalPortForwarding",
    "enableSSHRemotePortForwarding",
    "disableSSHAuth",
    "disableIPv6",
};

static void put_lists(struct rk_json *j, const struct rk_peer_meta *m)
{
    size_t i;

    rk_json_array(j, "networkAddresses");
    for (i = 0; i < m->addresses_n; i++) {
        rk_json_object(j, NULL);
        rk_json_cstr(j, "netIP", m->addresses[i].net_ip);
        rk_json_cstr(j, "mac", m->addresses[i].mac);
        rk_json_object_end(j);
    }
    rk_json_array_end(j);
    rk_json_array(j, "files");
    for (i = 0; i < m->files_n; i++) {
        rk_json_object(j, NULL);
        rk_json_cstr(j, "path", m->files[i].path);
        rk_json_bool(j, "exist", m->files[i].exist);
        rk_json_bool(j, "processIsRunning", m->files[i].running);
        rk_json_object_end(j);
    }
    rk_json_array_end(j);
    rk_json_array(j, "capabilities");
    for (i = 0; i < 32; i++) {
        if (m->capabilities >> i & 1)
            rk_json_uint(j, NULL, i);
    }
    rk_json_array_end(j);
    rk_json_object(j, "flags");
    for (i = 1; i < RK_COUNT(flag_names); i++)
        rk_json_bool(j, flag_names[i], m->flags >> i & 1);
    rk_json_object_end(j);
}

void peer_meta_json(const struct rk_peer_meta *m, struct rk_buf *out)
{
    struct rk_json j;

    rk_json_init(&j, out);
    rk_json_object(&j, NULL);
    rk_json_cstr(&j, "hostname", m->hostname);
    rk_json_cstr(&j, "goOS", m->goos);
    rk_json_cstr(&j, "kernel", m->kernel);
    rk_json_cstr(&j, "core", m->core);
    rk_json_cstr(&j, "platform", m->platform);
    rk_json_cstr(&j, "OS", m->os);
    rk_json_cstr(&j, "netbirdVersion", m->version);
    if (m->ui_version[0] != '\0')
        rk_json_cstr(&j, "uiVersion", m->ui_version);
    rk_json_cstr(&j, "kernelVersion", m->kernel_version);
    rk_json_cstr(&j, "OSVersion", m->os_version);
    rk_json_cstr(&j, "sysSerialNumber", m->serial_number);
    rk_json_cstr(&j, "sysProductName", m->product_name);
    rk_json_cstr(&j, "sysManufacturer", m->manufacturer);
    rk_json_object(&j, "environment");
    rk_json_cstr(&j, "cloud", m->cloud);
    rk_json_cstr(&j, "platform", m->cloud_platform);
    rk_json_object_end(&j);
    put_lists(&j, m);
    rk_json_int(&j, "syncMessageVersion", m->sync_message_version);
    rk_json_object_end(&j);
}

void peer_meta_hash_of(struct rk_str json, uint8_t out[16])
{
    uint8_t full[32];

    rk_sha256(json.p, json.n, full);
    memcpy(out, full, 16);
}

void rk_meta_hash(const struct rk_peer_meta *m, uint8_t out[16])
{
    rk_auto(rk_buf_done) struct rk_buf b;

    rk_buf_init(&b, META_MAX_BYTES);
    peer_meta_json(m, &b);
    peer_meta_hash_of(rk_buf_str(&b), out);
}

bool peer_meta_empty(const struct rk_peer_meta *m)
{
    return !m->hostname[0] && !m->goos[0] && !m->kernel[0] && !m->core[0] && !m->platform[0] &&
           !m->os[0] && !m->version[0] && !m->ui_version[0] && !m->kernel_version[0] &&
           !m->os_version[0] && !m->addresses_n && !m->files_n;
}

/* Commits what was touched and fills the bell. */
static int
finish(struct rk_change **ch, const char *account_id, struct rk_bell *out_bell, struct rk_err *err)
{
    struct rk_bell bell = { .serial = 0 };
    int r;

    rk_str_copy(rk_str(account_id), bell.account_id, sizeof(bell.account_id));
    r = rk_change_commit(ch, &bell.serial, err);
    if (r < 0)
        return r;
    *out_bell = bell;
    return 0;
}

int rk_peer_update_meta(struct rk_pg *pg,
                        const char *account_id,
                        const char *peer_id,
                        const struct rk_peer_meta *meta,
                        struct rk_bell *out_bell,
                        struct rk_err *err)
{
    /* `||` keeps the members that the new object lacks: uiVersion, when it came empty. */
    static const struct rk_pg_stmt store = {
        "peer_store_meta", "UPDATE peer SET meta = meta || $3::jsonb, meta_hash = $4 "
                           "WHERE account_id = $1 AND id = $2 "
                           "AND (meta_hash <> $4 OR meta <> meta || $3::jsonb) RETURNING id"
    };
    static const struct rk_pg_stmt exists = {
        "peer_exists", "SELECT 1 FROM peer WHERE account_id = $1 AND id = $2"
    };
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL, *found = NULL;
    rk_auto(rk_buf_done) struct rk_buf json;
    uint8_t hash[16];
    int r;

    rk_buf_init(&json, META_MAX_BYTES);
    if (peer_meta_empty(meta)) {
        *out_bell = (struct rk_bell){ .serial = 0 };
        return 0;
    }
    peer_meta_json(meta, &json);
    rk_meta_hash(meta, hash);
    if (json.overflow)
        return rk_fail(err, RK_INVALID, "peer metadata is too large");
    r = rk_change_begin(pg, account_id, &ch, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &store, &res, err, RK_P_C(account_id), RK_P_C(peer_id),
                  RK_P_STR(rk_buf_str(&json)), RK_P_BYTEA(rk_strn(hash, sizeof(hash))));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) == 0) {
        r = rk_pg_run(pg, &exists, &found, err, RK_P_C(account_id), RK_P_C(peer_id));
        if (r < 0)
            return r;
        if (rk_pg_rows(found) == 0)
            return rk_fail(err, RK_NOT_FOUND, "peer not found: %s", peer_id);
        return finish(&ch, account_id, out_bell, err);
    }
    r = rk_change_touch(ch, RK_OBJ_PEER, peer_id, err);
    if (r < 0)
        return r;
    return finish(&ch, account_id, out_bell, err);
}

int rk_peer_update_ssh_key(struct rk_pg *pg,
                           const char *account_id,
                           const char *peer_id,
                           const char *ssh_key,
                           struct rk_bell *out_bell,
                           struct rk_err *err)
{
    static const struct rk_pg_stmt store = {
        "peer_store_ssh_key", "UPDATE peer SET ssh_key = $3 WHERE account_id = $1 AND id = $2 "
                              "AND ssh_key <> $3 RETURNING id"
    };
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_change_begin(pg, account_id, &ch, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &store, &res, err, RK_P_C(account_id), RK_P_C(peer_id), RK_P_C(ssh_key));
    if (r < 0)
        return r;
    if (rk_pg_rows(res) > 0) {
        r = rk_change_touch(ch, RK_OBJ_PEER, peer_id, err);
        if (r < 0)
            return r;
    }
    return finish(&ch, account_id, out_bell, err);
}

int rk_peer_update_location(struct rk_pg *pg,
                            const char *account_id,
                            const char *peer_id,
                            const struct rk_peer_location *at,
                            struct rk_bell *out_bell,
                            struct rk_err *err)
{
    static const struct rk_pg_stmt store = {
        "peer_store_location",
        "UPDATE peer SET location_ip = $3, country_code = $4, city_name = $5, geoname_id = $6 "
        "WHERE account_id = $1 AND id = $2 AND (location_ip, country_code, city_name, geoname_id) "
        "IS DISTINCT FROM ($3, $4, $5, $6::bigint) RETURNING id"
    };
    rk_auto(rk_change_abort) struct rk_change *ch = NULL;
    rk_auto(rk_pg_result_free) struct rk_pg_result *res = NULL;
    int r;

    r = rk_change_begin(pg, account_id, &ch, err);
    if (r < 0)
        return r;
    r = rk_pg_run(pg, &store, &res, err, RK_P_C(account_id), RK_P_C(peer_id), RK_P_C(at->ip),
                  RK_P_C(at->country_code), RK_P_C(at->city_name), RK_P_INT(at->geoname_id));
    if (r == 0 && rk_pg_rows(res) > 0)
        r = rk_change_touch(ch, RK_OBJ_PEER, peer_id, err);
    return r < 0 ? r : finish(&ch, account_id, out_bell, err);
}
