#include "tests/bench/fleet/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <jansson.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

#define ANSWER_MAX ((size_t)64 * 1024 * 1024)
#define CALL_S 60L
#define MAX_SWITCHED 1000

struct account {
    struct account_access access;
    const struct identity *id;
    struct account_group *groups;
    unsigned count;
    CURL *curl;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    bool all_see_all;
    json_t *switched; /* policies that we switched off, as they were */
};

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    return rk_buf_put(arg, p, size * n) ? size * n : 0;
}

/* The answer, the caller's, or NULL; JSON null where there is no body. */
static json_t *call(
    struct account *a, const char *method, const char *path, const json_t *body, struct rk_err *err)
{
    rk_auto(rk_cfree) char *url = rk_asprintf("%s%s", a->access.url, path);
    rk_auto(rk_cfree) char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    rk_auto(rk_buf_done) struct rk_buf answer;
    long status = 0;
    CURLcode code;
    json_t *out;

    rk_buf_init(&answer, ANSWER_MAX);
    curl_easy_setopt(a->curl, CURLOPT_URL, url);
    curl_easy_setopt(a->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(a->curl, CURLOPT_POSTFIELDS, text ? text : "");
    curl_easy_setopt(a->curl, CURLOPT_WRITEDATA, &answer);
    code = curl_easy_perform(a->curl);
    if (code != CURLE_OK) {
        (void)rk_fail(err, RK_UNAVAILABLE, "%s %s: %s", method, path,
                      a->error[0] ? a->error : curl_easy_strerror(code));
        return NULL;
    }
    curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        (void)rk_fail(err, status == 401 ? RK_UNAUTHENTICATED : RK_INVALID, "%s %s: %ld %.*s",
                      method, path, status, (int)(answer.n < 200 ? answer.n : 200),
                      answer.p ? (const char *)answer.p : "");
        return NULL;
    }
    if (answer.n == 0)
        return json_null();
    out = json_loadb((const char *)answer.p, answer.n, JSON_DECODE_ANY, NULL);
    if (!out)
        (void)rk_fail(err, RK_INVALID, "%s %s: the answer is no JSON", method, path);
    return out;
}

/* The same where only success matters. Takes `body`. */
static int
tell(struct account *a, const char *method, const char *path, json_t *body, struct rk_err *err)
{
    json_t *answer = call(a, method, path, body, err);

    json_decref(body);
    if (!answer)
        return err ? err->code : RK_INTERNAL;
    json_decref(answer);
    return 0;
}

struct account *account_new(const struct account_access *access,
                            const struct identity *id,
                            struct account_group *groups,
                            unsigned count)
{
    struct account *a = rk_new(struct account);
    rk_auto(rk_cfree) char *header = rk_asprintf("Authorization: Token %s", access->token);

    a->access = *access;
    a->id = id;
    a->groups = groups;
    a->count = count;
    a->switched = json_array();
    a->curl = curl_easy_init();
    if (!a->curl)
        abort();
    a->headers = curl_slist_append(NULL, header);
    a->headers = curl_slist_append(a->headers, "Content-Type: application/json");
    curl_easy_setopt(a->curl, CURLOPT_HTTPHEADER, a->headers);
    curl_easy_setopt(a->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(a->curl, CURLOPT_ERRORBUFFER, a->error);
    curl_easy_setopt(a->curl, CURLOPT_TIMEOUT, CALL_S);
    curl_easy_setopt(a->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(a->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(a->curl, CURLOPT_PROXY, "");
    if (access->ca_file)
        curl_easy_setopt(a->curl, CURLOPT_CAINFO, access->ca_file);
    return a;
}

void account_free(struct account *a)
{
    if (!a)
        return;
    curl_easy_cleanup(a->curl);
    curl_slist_free_all(a->headers);
    json_decref(a->switched);
    free(a);
}

/* -- making -- */

static bool keep_text(const json_t *object, const char *member, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text && text[0] != '\0' && rk_str_copy(rk_str(text), out, size);
}

static json_t *policy_of(const struct account *a, unsigned group, uint32_t change)
{
    const struct account_group *g = &a->groups[group];
    char port[12], name[64];

    (void)snprintf(port, sizeof(port), "%u", MAP_FIRST_PORT + change);
    (void)snprintf(name, sizeof(name), "fleet-%s-%u", a->id->run, group);
    return json_pack("{s:s,s:s,s:b,s:[{s:s,s:s,s:b,s:b,s:s,s:[s],s:[s],s:[s]}]}", "name", name,
                     "description", "made by rookery-fleet", "enabled", 1, "rules", "name", name,
                     "action", "accept", "enabled", 1, "bidirectional", 1, "protocol", "tcp",
                     "sources", g->id, "destinations", g->id, "ports", port);
}

static int make_group(struct account *a, unsigned i, struct rk_err *err)
{
    struct account_group *g = &a->groups[i];
    rk_auto(rk_cfree) char *name = rk_asprintf("fleet-%s-%u", a->id->run, i);
    json_t *body = json_pack("{s:s,s:[]}", "name", name, "peers"), *answer;
    bool good;

    answer = call(a, "POST", "/api/groups", body, err);
    json_decref(body);
    if (!answer)
        return err->code;
    good = keep_text(answer, "id", g->id, sizeof(g->id));
    json_decref(answer);
    if (!good)
        return rk_fail(err, RK_INVALID, "POST /api/groups gave no id");

    body = policy_of(a, i, 0);
    answer = call(a, "POST", "/api/policies", body, err);
    json_decref(body);
    if (!answer)
        return err->code;
    good = keep_text(answer, "id", g->policy, sizeof(g->policy)) &&
           keep_text(json_array_get(json_object_get(answer, "rules"), 0), "id", g->rule,
                     sizeof(g->rule));
    json_decref(answer);
    if (!good)
        return rk_fail(err, RK_INVALID, "POST /api/policies gave no id");

    /* Ephemeral: what a run that was killed leaves behind goes by itself. */
    body = json_pack("{s:s,s:s,s:i,s:[s],s:i,s:b}", "name", name, "type", "reusable", "expires_in",
                     86400, "auto_groups", g->id, "usage_limit", 0, "ephemeral", 1);
    answer = call(a, "POST", "/api/setup-keys", body, err);
    json_decref(body);
    if (!answer)
        return err->code;
    good = keep_text(answer, "key", g->key, sizeof(g->key)) &&
           keep_text(answer, "id", g->key_id, sizeof(g->key_id));
    json_decref(answer);
    return good ? 0 : rk_fail(err, RK_INVALID, "POST /api/setup-keys gave no key");
}

/* -- the account's other policies -- */

/* Groups and posture checks are answered as objects, where the request wants ids. */
static void ids_of(json_t *object, const char *member)
{
    json_t *list = json_object_get(object, member), *ids, *one;
    size_t i;

    if (!json_is_array(list))
        return;
    ids = json_array();
    json_array_foreach(list, i, one)
        json_array_append(ids, json_is_object(one) ? json_object_get(one, "id") : one);
    json_object_set_new(object, member, ids);
}

static json_t *as_request(const json_t *policy, bool enabled)
{
    json_t *out = json_deep_copy(policy), *rule;
    size_t i;

    json_object_del(out, "id");
    json_object_set_new(out, "enabled", json_boolean(enabled));
    json_array_foreach(json_object_get(out, "rules"), i, rule)
    {
        ids_of(rule, "sources");
        ids_of(rule, "destinations");
    }
    return out;
}

static bool names_all(const json_t *rule, const char *side)
{
    const json_t *group;
    size_t i;

    json_array_foreach(json_object_get(rule, side), i,
                       group) if (json_string_value(json_object_get(group, "name")) &&
                                  strcmp(json_string_value(json_object_get(group, "name")),
                                         "All") == 0) return true;
    return false;
}

static bool is_all_to_all(const json_t *policy)
{
    const json_t *rule;
    size_t i;

    json_array_foreach(json_object_get(policy, "rules"), i,
                       rule) if (names_all(rule, "sources") &&
                                 names_all(rule, "destinations")) return true;
    return false;
}

static int switch_policy(struct account *a, const json_t *policy, bool enabled, struct rk_err *err)
{
    rk_auto(rk_cfree) char *path =
        rk_asprintf("/api/policies/%s", json_string_value(json_object_get(policy, "id")));

    return tell(a, "PUT", path, as_request(policy, enabled), err);
}

static int look_at_policies(struct account *a, bool alone, struct rk_err *err)
{
    json_t *policies = call(a, "GET", "/api/policies", NULL, err), *policy;
    int r = 0;
    size_t i;

    if (!policies)
        return err->code;
    json_array_foreach(policies, i, policy)
    {
        if (!json_is_true(json_object_get(policy, "enabled")) || r < 0)
            continue;
        if (alone && json_array_size(a->switched) < MAX_SWITCHED) {
            r = switch_policy(a, policy, false, err);
            if (r == 0)
                json_array_append(a->switched, policy);
        } else if (is_all_to_all(policy)) {
            a->all_see_all = true;
        }
    }
    json_decref(policies);
    return r;
}

int account_open(struct account *a, bool alone, struct rk_err *err)
{
    int r = look_at_policies(a, alone, err);

    for (unsigned i = 0; r == 0 && i < a->count; i++)
        r = make_group(a, i, err);
    return r;
}

bool account_all_see_all(const struct account *a)
{
    return a->all_see_all;
}

int account_change(struct account *a, unsigned group, uint32_t change, struct rk_err *err)
{
    rk_auto(rk_cfree) char *path = rk_asprintf("/api/policies/%s", a->groups[group].policy);

    return tell(a, "PUT", path, policy_of(a, group, change), err);
}

static void take_away(struct account *a, const char *kind, const char *id, struct rk_err *first)
{
    rk_auto(rk_cfree) char *path = rk_asprintf("/api/%s/%s", kind, id);
    struct rk_err err = { 0 };

    if (id[0] != '\0' && tell(a, "DELETE", path, NULL, &err) < 0 && first->code == 0)
        *first = err;
}

int account_close(struct account *a, struct rk_err *out_err)
{
    struct rk_err first = { 0 }, err = { 0 };
    json_t *policy;
    size_t i;

    json_array_foreach(a->switched, i, policy) if (switch_policy(a, policy, true, &err) < 0 &&
                                                   first.code == 0) first = err;
    json_array_clear(a->switched);
    for (unsigned g = 0; g < a->count; g++) {
        take_away(a, "policies", a->groups[g].policy, &first);
        take_away(a, "setup-keys", a->groups[g].key_id, &first);
        take_away(a, "groups", a->groups[g].id, &first);
    }
    if (first.code < 0 && out_err)
        *out_err = first;
    return first.code;
}
