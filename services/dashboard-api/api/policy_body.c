/* See policy_body.h. */

#include "services/dashboard-api/api/policy_body.h"

static void decode_side(struct body *b,
                        const json_t *rule,
                        const char *groups,
                        const char *resource,
                        struct rk_policy_side *out)
{
    const json_t *r = body_object(b, rule, resource);

    out->groups = body_strs(b, rule, groups, &out->groups_n, &out->has_groups);
    out->has_resource = r != NULL;
    out->resource_id = body_str(b, r, "id");
    out->resource_type = body_str(b, r, "type");
}

static void decode_ranges(struct body *b, const json_t *rule, struct rk_policy_rule_input *out)
{
    const json_t *list = body_array(b, rule, "port_ranges");
    struct rk_policy_range *ranges;

    out->ranges_n = json_array_size(list);
    if (out->ranges_n == 0)
        return;
    ranges = rk_arena_alloc(b->arena, out->ranges_n * sizeof(*ranges));
    for (size_t i = 0; i < out->ranges_n; i++) {
        const json_t *item = json_array_get(list, i);

        if (!json_is_object(item))
            b->bad = true;
        ranges[i].start = body_int(b, item, "start");
        ranges[i].end = body_int(b, item, "end");
    }
    out->ranges = ranges;
}

static void decode_authorized(struct body *b, const json_t *rule, struct rk_policy_rule_input *out)
{
    json_t *map = (json_t *)(uintptr_t)body_object(
        b, rule, "authorized_groups"); /* iterating does not change it */
    struct rk_policy_authorized *list;
    size_t i = 0;

    out->authorized_n = json_object_size(map);
    if (out->authorized_n == 0)
        return;
    list = rk_arena_alloc(b->arena, out->authorized_n * sizeof(*list));
    for (void *it = json_object_iter(map); it; it = json_object_iter_next(map, it), i++) {
        const json_t *users = json_object_iter_value(it);

        if (!json_is_array(users) && !json_is_null(users))
            b->bad = true;
        list[i].group = json_object_iter_key(it);
        list[i].users = body_strs_of(b, users, &list[i].users_n);
    }
    out->authorized = list;
}

static void decode_rule(struct body *b, const json_t *rule, struct rk_policy_rule_input *out)
{
    if (!json_is_object(rule))
        b->bad = true;
    out->id = body_str(b, rule, "id");
    out->name = body_str(b, rule, "name");
    out->description = body_str(b, rule, "description");
    out->enabled = body_bool(b, rule, "enabled");
    out->action = body_str(b, rule, "action");
    out->protocol = body_str(b, rule, "protocol");
    out->bidirectional = body_bool(b, rule, "bidirectional");
    decode_side(b, rule, "sources", "sourceResource", &out->source);
    decode_side(b, rule, "destinations", "destinationResource", &out->destination);
    out->ports = body_strs(b, rule, "ports", &out->ports_n, NULL);
    decode_ranges(b, rule, out);
    decode_authorized(b, rule, out);
}

int policy_body_decode(struct rk_str text,
                       struct rk_arena *arena,
                       struct body *body,
                       struct rk_policy_input *out,
                       struct rk_err *err)
{
    const json_t *rules;
    struct rk_policy_rule_input *list = NULL;
    int r;

    r = body_parse(text, arena, body, err);
    if (r < 0)
        return r;
    *out = (struct rk_policy_input){
        .name = body_str(body, body->root, "name"),
        .description = body_str(body, body->root, "description"),
        .enabled = body_bool(body, body->root, "enabled"),
    };
    out->posture_checks = body_strs(body, body->root, "source_posture_checks",
                                    &out->posture_checks_n, &out->has_posture_checks);
    rules = body_array(body, body->root, "rules");
    out->rules_n = json_array_size(rules);
    if (out->rules_n > 0)
        list = rk_arena_alloc(arena, out->rules_n * sizeof(*list));
    for (size_t i = 0; i < out->rules_n; i++)
        decode_rule(body, json_array_get(rules, i), &list[i]);
    out->rules = list;
    return body_check(body, err);
}
