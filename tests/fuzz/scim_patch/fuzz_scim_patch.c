// links: dashboard-api
/* The body of a PATCH from any bytes, done to a user and to a group; and the same as a whole user
 * and a whole group. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "services/dashboard-api/scim/group.h"
#include "services/dashboard-api/scim/json.h"
#include "services/dashboard-api/scim/user.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What has been read reads as itself. */
static void check_user(const json_t *user, struct rk_arena *a)
{
    rk_auto(json_decref) json_t *again = NULL;
    struct scim_user view;
    struct rk_err err = { 0 };

    if (scim_user_view(user, a, &view, &err) < 0)
        return;
    assert(scim_user_read(user, &again, &err) == 0);
    assert(json_equal(user, again));
    assert(view.name[0] != '\0');
}

static void check_steps(const struct scim_step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert((steps[i].kind <= SCIM_STEP_EXTERNAL_ID) == (steps[i].text != NULL));
        for (size_t k = 0; k < steps[i].ids_n; k++)
            assert(steps[i].ids[k].n > 0 || steps[i].kind == SCIM_STEP_REMOVE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rk_auto(rk_arena_free) struct rk_arena *a = rk_arena_new((size_t)256 << 20);
    rk_auto(json_decref) json_t *body = NULL;
    rk_auto(json_decref) json_t *whole = NULL;
    rk_auto(json_decref) json_t *user = json_pack("{ss,s[{ss,ss,sb}]}", "userName", "u", "emails",
                                                  "value", "a@b", "type", "work", "primary", 1);
    struct scim_step *steps;
    struct scim_op *ops;
    struct rk_err err = { 0 };
    size_t count;

    if (scim_json_parse(rk_strn(p, n), &body, &err) < 0)
        return 0;
    if (scim_user_read(body, &whole, &err) == 0)
        check_user(whole, a);
    if (scim_group_read(body, a, &steps, &count, &err) == 0)
        check_steps(steps, count);
    if (scim_patch_read(body, a, &ops, &count, &err) < 0)
        return 0;
    if (scim_user_patch(user, ops, count, &err) == 0)
        check_user(user, a);
    if (scim_group_patch(ops, count, a, &steps, &count, &err) == 0)
        check_steps(steps, count);
    return 0;
}
