/* See person.h. */

#include "services/dashboard-api/connector/person.h"

#include <string.h>

#include "libcommon/account/rules/subject.h"
#include "services/dashboard-api/connector/kind.h"

#define MAX_EMAIL 320
#define MAX_NAME 255 /* longer ones are cut */
#define MAX_GROUP 255

int person_parse(struct rk_str text, json_t **out, struct rk_err *err)
{
    json_error_t why;
    json_t *v = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &why);

    if (json_is_object(v)) {
        *out = v;
        return 0;
    }
    json_decref(v);
    return rk_fail(err, RK_INVALID, "not a JSON object");
}

struct sources {
    const json_t *token, *more;
};

static const json_t *claim(const struct sources *s, const char *name)
{
    const json_t *v = json_object_get(s->token, name);

    return v ? v : json_object_get(s->more, name);
}

/* The first of them that is a text and not empty; "" when none is. */
static const char *text_of(const struct sources *s, const char *const *names)
{
    for (; *names; names++) {
        const char *v = json_string_value(claim(s, *names));

        if (v && *v)
            return v;
    }
    return "";
}

/* The first of them that may be an e-mail address; "" when none may. */
static const char *address_of(const struct sources *s, const char *const *names)
{
    for (; *names; names++) {
        const char *one[] = { *names, NULL }, *v = text_of(s, one);

        if (strchr(v, '@'))
            return v;
    }
    return "";
}

/* Claims where an e-mail address may stand, though some are logins elsewhere. */
static const char *email_of(const struct sources *s, enum rk_connector_kind kind)
{
    static const char *const usual[] = { "email", "preferred_username", "upn", NULL };
    static const char *const graph[] = { "userPrincipalName", "mail", NULL };

    return address_of(s, kind_of(kind)->graph ? graph : usual);
}

static const char *name_of(const struct sources *s, enum rk_connector_kind kind)
{
    static const char *const usual[] = { "name", "preferred_username", "upn", NULL };
    static const char *const graph[] = { "displayName", "userPrincipalName", NULL };

    return text_of(s, kind_of(kind)->graph ? graph : usual);
}

bool person_complete(enum rk_connector_kind kind, const json_t *token)
{
    const struct sources s = { .token = token };

    return *email_of(&s, kind) && *name_of(&s, kind);
}

/* Printable, and no longer than that. */
static bool fit(const char *s, size_t max)
{
    if (strlen(s) > max)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == '\x7f')
            return false;
    return true;
}

/* At most MAX_NAME bytes of whole characters, without those that do something. */
static const char *clean_name(const char *s, struct rk_arena *arena)
{
    char *out = rk_arena_strdup(arena, s);
    size_t n = 0, len;

    for (const char *p = s; *p; p += len) {
        len = rk_utf8_len((const uint8_t *)p, strlen(p));
        if (len == 0 || n + len > MAX_NAME)
            break;
        if ((unsigned char)*p < ' ' || *p == '\x7f')
            continue;
        memcpy(out + n, p, len);
        n += len;
    }
    out[n] = '\0';
    return out;
}

/*
 * Somebody whom a directory has announced, or an administrator invited, is found by a verified
 * address (rk_scim_bind, rk_pre_invite_adopt). Most providers who say nothing know no other
 * addresses than those they have given out; but what stands in for one may be a login name that its
 * owner chose. Some send a text.
 */
static bool verified(const struct sources *s, enum rk_connector_kind kind)
{
    static const char *const given[] = { "email", "upn", NULL };
    const struct kind *k = kind_of(kind);
    const json_t *v = claim(s, "email_verified");

    if (!k->graph && !k->gives_logins && !*address_of(s, given))
        return false;
    if (json_is_string(v))
        return strcmp(json_string_value(v), "true") == 0;
    return !v || json_is_null(v) || json_is_true(v);
}

static void take_groups(const struct sources *s, struct rk_arena *arena, struct identity *out)
{
    const json_t *list = claim(s, "groups");
    size_t n = json_is_string(list) ? 1 : json_array_size(list), got = 0;
    struct rk_str *groups;

    if (n == 0)
        return;
    if (n > IDENTITY_MAX_GROUPS)
        n = IDENTITY_MAX_GROUPS;
    groups = rk_arena_alloc(arena, n * sizeof(*groups));
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_is_string(list) ? list : json_array_get(list, i));

        if (name && *name && fit(name, MAX_GROUP))
            groups[got++] = rk_str(rk_arena_strdup(arena, name));
    }
    out->groups = groups;
    out->groups_n = got;
}

int person_identity(const struct rk_connector *c,
                    const json_t *token,
                    const json_t *more,
                    struct rk_arena *arena,
                    struct identity *out,
                    struct rk_err *err)
{
    const struct sources s = { token, more };
    const char *ids[] = { kind_of(c->kind)->user_claim, NULL };
    static const char *const login[] = { "preferred_username", "upn", "userPrincipalName", NULL };
    const char *id = text_of(&s, ids), *email = email_of(&s, c->kind), *name = name_of(&s, c->kind);
    struct identity who = { .connector_id = c->id };
    char subject[RK_USER_ID_MAX];

    if (!*id)
        return rk_fail(err, RK_DENIED, "the claim %s is missing", ids[0]);
    if (!fit(id, RK_SUBJECT_PART_MAX) || !rk_subject_encode(id, c->id, subject))
        return rk_fail(err, RK_DENIED, "the claim %s cannot be stored", ids[0]);
    if (!*email)
        return rk_fail(err, RK_DENIED, "there is no e-mail address");
    if (!fit(email, MAX_EMAIL))
        return rk_fail(err, RK_DENIED, "the e-mail address cannot be stored");
    who.user_id = rk_arena_strdup(arena, subject);
    who.email = rk_arena_strdup(arena, email);
    who.name = clean_name(name, arena);
    if (!*who.name)
        who.name = who.email;
    who.preferred_username = clean_name(text_of(&s, login), arena);
    who.email_verified = verified(&s, c->kind);
    take_groups(&s, arena, &who);
    *out = who;
    return 0;
}
