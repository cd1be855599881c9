// links: dashboard-api
/*
 * Bodies of REST requests and the checks that follow them without a database, from any bytes. The
 * first byte chooses the object. Those of policies, posture checks and setup have targets of their
 * own.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/account/rules/connector.h"
#include "libcommon/account/rules/job.h"
#include "libcommon/account/rules/nameserver.h"
#include "libcommon/account/rules/router.h"
#include "libcommon/account/rules/settings.h"
#include "libcommon/account/rules/setup_key.h"
#include "libcommon/account/rules/temporary.h"
#include "libcommon/account/rules/user.h"
#include "libcommon/account/rules/zone.h"
#include "services/dashboard-api/json/body.h"
#include "services/dashboard-api/scim/json.h"

typedef int try_fn(struct body *b, struct rk_err *err);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What has been decoded is decoded again to the same. */
static int try_settings(struct body *b, struct rk_err *err)
{
    rk_auto(json_decref) json_t *settings = NULL;
    rk_auto(json_decref) json_t *again = NULL;
    bool same;

    if (!rk_settings_decode(body_object(b, b->root, "settings"), &settings))
        b->bad = true;
    if (b->bad)
        return body_check(b, err);
    same = rk_settings_decode(settings, &again) && json_equal(settings, again);
    assert(same);
    return rk_settings_validate(settings, err);
}

static int try_zone(struct body *b, struct rk_err *err)
{
    struct rk_zone_input in = {
        .name = body_str(b, b->root, "name"),
        .domain = body_str(b, b->root, "domain"),
        .enabled = body_bool(b, b->root, "enabled"),
        .enable_search_domain = body_bool(b, b->root, "enable_search_domain"),
    };

    in.groups = body_strs(b, b->root, "distribution_groups", &in.groups_n, NULL);
    return b->bad ? body_check(b, err) : rk_zone_validate(&in, err);
}

static int try_record(struct body *b, struct rk_err *err)
{
    struct rk_record_input in = { .name = body_str(b, b->root, "name"),
                                  .type = body_str(b, b->root, "type"),
                                  .content = body_str(b, b->root, "content"),
                                  .ttl = body_int(b, b->root, "ttl") };

    return b->bad ? body_check(b, err) : rk_record_validate(&in, err);
}

static int try_nameservers(struct body *b, struct rk_err *err)
{
    struct rk_nsgroup_input in = {
        .name = body_str(b, b->root, "name"),
        .description = body_str(b, b->root, "description"),
        .primary = body_bool(b, b->root, "primary"),
        .search_domains_enabled = body_bool(b, b->root, "search_domains_enabled"),
        .enabled = body_bool(b, b->root, "enabled"),
    };
    const json_t *list = body_array(b, b->root, "nameservers");
    struct rk_nameserver_input *servers = NULL;

    in.servers_n = json_array_size(list);
    if (in.servers_n > 0)
        servers = rk_arena_alloc(b->arena, in.servers_n * sizeof(*servers));
    for (size_t i = 0; i < in.servers_n; i++) {
        const json_t *item = json_array_get(list, i);

        servers[i] = (struct rk_nameserver_input){ .ip = body_str(b, item, "ip"),
                                                   .ns_type = body_str(b, item, "ns_type"),
                                                   .port = body_int(b, item, "port") };
    }
    in.servers = servers;
    in.groups = body_strs(b, b->root, "groups", &in.groups_n, NULL);
    in.domains = body_strs(b, b->root, "domains", &in.domains_n, &in.has_domains);
    return b->bad ? body_check(b, err) : rk_nsgroup_validate(&in, err);
}

static int try_setup_key(struct body *b, struct rk_err *err)
{
    struct rk_setup_key_input in = {
        .name = body_str(b, b->root, "name"),
        .type = body_str(b, b->root, "type"),
        .expires_in_s = body_int(b, b->root, "expires_in"),
        .usage_limit = body_int(b, b->root, "usage_limit"),
        .ephemeral = body_bool(b, b->root, "ephemeral"),
        .allow_extra_dns_labels = body_bool(b, b->root, "allow_extra_dns_labels"),
    };

    in.auto_groups = body_strs(b, b->root, "auto_groups", &in.auto_groups_n, NULL);
    return b->bad ? body_check(b, err) : rk_setup_key_validate(&in, err);
}

static int try_router(struct body *b, struct rk_err *err)
{
    struct rk_router_input in = { .peer = body_str(b, b->root, "peer"),
                                  .metric = body_int(b, b->root, "metric"),
                                  .masquerade = body_bool(b, b->root, "masquerade"),
                                  .enabled = body_bool(b, b->root, "enabled") };

    in.peer_groups = body_strs(b, b->root, "peer_groups", &in.peer_groups_n, NULL);
    return b->bad ? body_check(b, err) : rk_router_validate(&in, err);
}

static int try_user(struct body *b, struct rk_err *err)
{
    struct rk_user_input in = { .name = body_str(b, b->root, "name"),
                                .email = body_str(b, b->root, "email"),
                                .invited = true };
    const char *role = body_str(b, b->root, "role");

    in.auto_groups = body_strs(b, b->root, "auto_groups", &in.auto_groups_n, NULL);
    if (b->bad)
        return body_check(b, err);
    if (!rk_role_parse(rk_str(role), &in.role))
        return rk_fail(err, RK_INVALID, "unknown user role %.64s", role);
    return rk_user_validate(&in, err);
}

static int try_connector(struct body *b, struct rk_err *err)
{
    bool own = body_bool(b, b->root, "own_redirect_uri");
    struct rk_connector_input in = {
        .type = body_str(b, b->root, "type"),
        .name = body_str(b, b->root, "name"),
        .issuer = body_str(b, b->root, "issuer"),
        .client_id = body_str(b, b->root, "client_id"),
        .client_secret = body_str(b, b->root, "client_secret"),
        .own_redirect_uri = body_get(b->root, "own_redirect_uri") ? &own : NULL,
    };

    return b->bad ? body_check(b, err) : rk_connector_validate(&in, own, err);
}

static int try_job(struct body *b, struct rk_err *err)
{
    const json_t *parameters = body_object(b, body_get(b->root, "workload"), "parameters");
    struct rk_job_bundle in = {
        .bundle_for = body_bool(b, parameters, "bundle_for"),
        .bundle_for_time = body_int(b, parameters, "bundle_for_time"),
        .log_file_count = body_int(b, parameters, "log_file_count"),
        .anonymize = body_bool(b, parameters, "anonymize"),
    };

    return b->bad ? body_check(b, err) : rk_job_validate(&in, err);
}

static int try_temporary(struct body *b, struct rk_err *err)
{
    struct rk_temporary_rule rule;
    size_t n = 0;
    const struct rk_str *rules = body_strs(b, b->root, "rules", &n, NULL);

    for (size_t i = 0; !b->bad && i < n; i++)
        if (rk_temporary_rule_parse(rules[i], &rule))
            assert(rule.protocol[0] != '\0' && rule.first <= rule.last);
    return body_check(b, err);
}

static const struct {
    char letter;
    try_fn *try;
} objects[] = {
    { 's', try_settings },  { 'z', try_zone },      { 'r', try_record }, { 'n', try_nameservers },
    { 'k', try_setup_key }, { 'o', try_router },    { 'u', try_user },   { 'c', try_connector },
    { 'j', try_job },       { 't', try_temporary },
};

/* SCIM's bodies are found and bounded otherwise. */
static void try_scim(struct rk_str text)
{
    struct rk_err err = { 0 };
    json_t *out = NULL;
    int r = scim_json_parse(text, &out, &err);

    if (r < 0) {
        assert(!out && err.msg[0] != '\0');
        return;
    }
    assert(json_is_object(out));
    (void)scim_json_empty(scim_json_get(out, "userName"));
    (void)scim_json_unwrap(scim_json_get(out, "active"));
    json_decref(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new((size_t)64 << 20);
    rk_auto(body_done) struct body body = { 0 };
    struct rk_err err = { 0 };
    int r;

    if (n == 0)
        return 0;
    if (p[0] == 'S') {
        try_scim(rk_strn(p + 1, n - 1));
        return 0;
    }
    r = body_parse(rk_strn(p + 1, n - 1), arena, &body, &err);
    for (size_t i = 0; r == 0 && i < sizeof(objects) / sizeof(objects[0]); i++)
        if (objects[i].letter == (char)p[0])
            r = objects[i].try(&body, &err);
    assert(r == 0 || ((r == RK_BAD_REQUEST || r == RK_INVALID) && err.msg[0] != '\0'));
    return 0;
}
