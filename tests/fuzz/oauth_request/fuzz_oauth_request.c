// links: dashboard-api
/* What clients say to the provider: a query or a form, Basic credentials, refresh tokens and user
 * codes, from any bytes. The first byte chooses. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "services/dashboard-api/oauth/authorize_request.h"
#include "services/dashboard-api/oauth/basic.h"
#include "services/dashboard-api/oauth/refresh_token.h"
#include "services/dashboard-api/oauth/scope.h"
#include "services/dashboard-api/oauth/user_code.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void try_authorize(struct rk_str text, struct rk_arena *arena)
{
    static const struct rk_str redirects[] = { RK_STR("https://a/cb"),
                                               RK_STR("http://127.0.0.1/") };
    static const struct clients clients = {
        .list = { { .id = "web", .redirects = redirects, .redirects_n = 1 },
                  { .id = "cli", .redirects = redirects, .redirects_n = 2, .any_port = true } }
    };
    struct authorize_request q;
    struct refusal why = { NULL, NULL };
    struct rk_err err = { 0 };
    struct params params;
    int r = params_parse(text, arena, &params, &err);

    if (r < 0) {
        assert(r == RK_BAD_REQUEST && err.msg[0] != '\0');
        return;
    }
    assert(params.n <= PARAMS_MAX);
    for (size_t i = 0; i < params.n; i++)
        assert(rk_utf8_valid(rk_str(params.list[i].value)));
    switch (authorize_read(&params, &clients, &q, &why)) {
    case AUTHORIZE_OK:
        assert(!why.error && strlen(q.code_challenge) == CHALLENGE_LEN);
        assert((q.scope & SCOPE_OPENID) && strlen(q.state) <= AUTHORIZE_MAX_STATE);
        assert(client_redirect_allowed(q.client, q.redirect_uri));
        break;
    case AUTHORIZE_REFUSED:
        assert(why.error && why.why && client_redirect_allowed(q.client, q.redirect_uri));
        break;
    case AUTHORIZE_BAD_CLIENT:
    case AUTHORIZE_BAD_REDIRECT:
        break;
    }
}

static void try_secrets(struct rk_str text, struct rk_arena *arena)
{
    static const uint8_t key[REFRESH_KEY_LEN];
    const char *id = NULL, *secret = NULL;
    char code[USER_CODE_LEN + 1];
    struct refresh_token t;

    if (basic_parse(text, arena, &id, &secret) == BASIC_GIVEN)
        assert(id[0] != '\0' && secret && rk_utf8_valid(rk_str(id)));
    if (user_code_read(text, code))
        assert(strlen(code) == USER_CODE_LEN && code[4] == '-');
    if (refresh_token_read(text, &t)) {
        char again[REFRESH_TOKEN_LEN + 1];
        bool genuine = refresh_token_genuine(&t, key);

        refresh_token_write(t.family, t.generation, key, again);
        assert(genuine == (memcmp(again, text.p, REFRESH_TOKEN_LEN) == 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new((size_t)64 << 20);
    struct rk_str text;

    if (n == 0)
        return 0;
    text = rk_strn(p + 1, n - 1);
    if (p[0] == 'q')
        try_authorize(text, arena);
    else
        try_secrets(text, arena);
    return 0;
}
