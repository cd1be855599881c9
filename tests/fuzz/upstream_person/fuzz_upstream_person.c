// links: dashboard-api
/* What an upstream provider answers, from any bytes: a token endpoint, and claims of a person. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/account/rules/subject.h"
#include "services/dashboard-api/connector/exchange.h"
#include "services/dashboard-api/connector/person.h"
#include "services/dashboard-api/connector/trip.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_person(const struct rk_connector *c, const struct identity *who)
{
    char user[RK_SUBJECT_PART_MAX], connector[RK_SUBJECT_PART_MAX];

    assert(rk_subject_decode(who->user_id, user, connector));
    assert(strcmp(connector, c->id) == 0 && user[0] != '\0');
    assert(strchr(who->email, '@') && strlen(who->email) <= 320);
    assert(who->name[0] != '\0' && rk_utf8_valid(rk_str(who->name)));
    assert(strlen(who->name) <= 255 || who->name == who->email);
    assert(who->groups_n <= IDENTITY_MAX_GROUPS);
    for (size_t i = 0; i < who->groups_n; i++)
        assert(who->groups[i].n > 0 && who->groups[i].n <= 255);
}

/* The first byte chooses the kind, and which of the two sources it is. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new((size_t)64 << 20);
    struct rk_connector c = { .id = "keycloak-0123456789abcdefghij" };
    struct exchange_tokens tokens;
    struct identity who;
    struct trip trip;
    struct rk_err err = { 0 };
    json_t *said = NULL;
    bool more;
    int r;

    if (n == 0)
        return 0;
    c.kind = p[0] % RK_CONNECTOR_KINDS;
    more = p[0] & 0x80;
    p++;
    n--;
    if (exchange_read(rk_strn(p, n), arena, &tokens, &err) == 0)
        assert(strlen(tokens.id_token) <= RK_JWT_MAX && !strpbrk(tokens.access_token, " \r\n"));
    if (trip_read(rk_strn(p, n), &trip))
        assert(trip.connector_id[0] != '\0' && strlen(trip.mark) <= TRIP_SECRET_LEN);
    if (person_parse(rk_strn(p, n), &said, &err) < 0)
        return 0;
    r = person_identity(&c, more ? NULL : said, more ? said : NULL, arena, &who, &err);
    if (r == 0)
        check_person(&c, &who);
    else
        assert(r == RK_DENIED && err.msg[0] != '\0');
    json_decref(said);
    return 0;
}
