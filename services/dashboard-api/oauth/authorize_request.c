/* See authorize_request.h. */

#include "services/dashboard-api/oauth/authorize_request.h"

#include <string.h>

#include "libcommon/account/rules/connector.h"
#include "libcommon/base/encode.h"
#include "services/dashboard-api/oauth/scope.h"

static bool refuse(struct refusal *out, const char *error, const char *why)
{
    *out = (struct refusal){ error, why };
    return false;
}

/* SHA-256 has 32 bytes, so a challenge of another form can match no verifier. */
static bool read_challenge(const struct params *p, struct authorize_request *q, struct refusal *why)
{
    uint8_t hash[32];
    size_t n;

    if (q->code_challenge[0] == '\0')
        return refuse(why, "invalid_request", "a code_challenge is required");
    if (strcmp(params_text(p, "code_challenge_method"), "S256") != 0)
        return refuse(why, "invalid_request", "code_challenge_method must be S256");
    if (!rk_b64url_decode(rk_str(q->code_challenge), hash, sizeof(hash), &n) || n != sizeof(hash))
        return refuse(why, "invalid_request", "code_challenge is not a SHA-256 in base64url");
    return true;
}

static bool read_prompt(const struct params *p, struct authorize_request *q, struct refusal *why)
{
    struct rk_str rest = rk_str(params_text(p, "prompt")), word;
    bool other = false;

    while (rk_str_next(&rest, ' ', &word)) {
        if (word.n == 0)
            continue;
        if (rk_str_eq(word, RK_STR("none")))
            q->silent = true;
        else if (rk_str_eq(word, RK_STR("login")))
            q->fresh = other = true;
        else if (rk_str_eq(word, RK_STR("select_account")))
            q->choose = other = true;
        else if (rk_str_eq(word, RK_STR("consent")))
            other = true; /* our clients are trusted, there is nothing to ask */
        else
            return refuse(why, "invalid_request", "this prompt is not known");
    }
    if (q->silent && other)
        return refuse(why, "invalid_request", "prompt none stands alone");
    return true;
}

static bool read_max_age(const struct params *p, struct authorize_request *q, struct refusal *why)
{
    const char *text = params_get(p, "max_age");
    uint64_t n;

    if (!text)
        return true;
    if (!rk_str_u64(rk_str(text), &n) || n > INT32_MAX)
        return refuse(why, "invalid_request", "max_age is not a number of seconds");
    q->max_age_s = (int64_t)n;
    return true;
}

static bool read_rest(const struct params *p, struct authorize_request *q, struct refusal *why)
{
    if (strlen(q->state) > AUTHORIZE_MAX_STATE) {
        q->state = "";
        return refuse(why, "invalid_request", "state is too long");
    }
    if (p->repeated)
        return refuse(why, "invalid_request", "a parameter stands twice");
    if (!params_get(p, "response_type"))
        return refuse(why, "invalid_request", "response_type is missing");
    if (strcmp(params_text(p, "response_type"), "code") != 0)
        return refuse(why, "unsupported_response_type", "only response_type code is supported");
    if (params_get(p, "request"))
        return refuse(why, "request_not_supported", "request objects are not supported");
    if (params_get(p, "request_uri"))
        return refuse(why, "request_uri_not_supported", "request objects are not supported");
    if (params_get(p, "response_mode") && strcmp(params_text(p, "response_mode"), "query") != 0)
        return refuse(why, "invalid_request", "only response_mode query is supported");
    if (!scope_parse(rk_str(params_text(p, "scope")), &q->scope))
        return refuse(why, "invalid_scope", "the scope has a word that is not known");
    if (!(q->scope & SCOPE_OPENID))
        return refuse(why, "invalid_scope", "the scope must have openid");
    if (!read_challenge(p, q, why) || !read_prompt(p, q, why) || !read_max_age(p, q, why))
        return false;
    if (strlen(q->nonce) > AUTHORIZE_MAX_NONCE)
        return refuse(why, "invalid_request", "nonce is too long");
    /* A hint that cannot be an address is none. */
    if (strlen(q->login_hint) > AUTHORIZE_MAX_HINT)
        q->login_hint = "";
    if (strlen(q->connector_id) >= RK_CONNECTOR_ID_MAX)
        q->connector_id = ""; /* likewise */
    return true;
}

enum authorize_outcome authorize_read(const struct params *p,
                                      const struct clients *clients,
                                      struct authorize_request *out,
                                      struct refusal *out_why)
{
    struct authorize_request q = { .redirect_uri = params_text(p, "redirect_uri"),
                                   .state = params_text(p, "state"),
                                   .nonce = params_text(p, "nonce"),
                                   .code_challenge = params_text(p, "code_challenge"),
                                   .login_hint = params_text(p, "login_hint"),
                                   .connector_id = params_text(p, "connector_id"),
                                   .id_token_hint = params_text(p, "id_token_hint"),
                                   .max_age_s = -1 };
    bool good;

    q.client = client_find(clients, params_get(p, "client_id"));
    if (!q.client || (p->repeated && strcmp(p->repeated, "client_id") == 0))
        return AUTHORIZE_BAD_CLIENT;
    if (!client_redirect_allowed(q.client, q.redirect_uri) ||
        (p->repeated && strcmp(p->repeated, "redirect_uri") == 0))
        return AUTHORIZE_BAD_REDIRECT;
    good = read_rest(p, &q, out_why);
    *out = q;
    return good ? AUTHORIZE_OK : AUTHORIZE_REFUSED;
}
