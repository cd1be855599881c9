/* See authorize.h. */

#include "services/dashboard-api/oauth/authorize.h"

#include <string.h>

#include "libcommon/account/rules/subject.h"
#include "libcommon/base/clock.h"
#include "services/dashboard-api/oauth/authorize_request.h"
#include "services/dashboard-api/oauth/code.h"
#include "services/dashboard-api/oauth/login_int.h"
#include "services/dashboard-api/oauth/provider.h"
#include "services/dashboard-api/oauth/scope.h"
#include "services/dashboard-api/oauth/token_check.h"
#include "services/dashboard-api/oauth/view.h"
#include "services/dashboard-api/page/page.h"

static int refuse(struct call *c,
                  const struct provider *p,
                  const struct authorize_request *q,
                  const char *error,
                  const char *why)
{
    return page_redirect(c, login_answer(c, p->issuer, q->redirect_uri, q->state, NULL,
                                         &(struct refusal){ error, why }));
}

/* Of a client that says whom it expects. A hint that is no token of ours fits nobody. */
static int hint_fits(struct call *c,
                     const struct authorize_request *q,
                     const struct session *s,
                     bool *out,
                     struct rk_err *err)
{
    struct token_checked hint;
    int r;

    *out = true;
    if (q->id_token_hint[0] == '\0')
        return 0;
    r = token_check(c, q->id_token_hint, true, &hint, err);
    if (r < 0 && r != RK_UNAUTHENTICATED)
        return r;
    *out = r == 0 && strcmp(hint.claims.subject, s->who.user_id) == 0;
    return 0;
}

/* The browser's session, if it is one that answers this request. */
static int find_usable(struct call *c,
                       const struct authorize_request *q,
                       struct session *out,
                       bool *out_found,
                       struct rk_err *err)
{
    int64_t age_s;
    bool fits;
    int r;

    *out_found = false;
    if (q->fresh || q->choose)
        return 0;
    r = session_find(c, out, err);
    if (r == RK_NOT_FOUND)
        return 0;
    if (r < 0)
        return r;
    age_s = rk_wall_s() - out->auth_time_s;
    if (q->max_age_s == 0 || (q->max_age_s > 0 && age_s > q->max_age_s))
        return 0;
    if (q->connector_id[0] != '\0' && strcmp(q->connector_id, out->who.connector_id) != 0)
        return 0;
    r = hint_fits(c, q, out, &fits, err);
    if (r == 0)
        *out_found = fits;
    return r;
}

static int answer_with_code(struct call *c,
                            const struct provider *p,
                            const struct authorize_request *q,
                            const struct session *s,
                            struct rk_err *err)
{
    const char *code;
    int r;

    r = code_issue(c,
                   &(struct code_request){ .client_id = q->client->id,
                                           .redirect_uri = q->redirect_uri,
                                           .nonce = q->nonce,
                                           .code_challenge = q->code_challenge,
                                           .scope = scope_text(q->scope, c->arena) },
                   s, &code, err);
    if (r < 0)
        return r;
    return page_redirect(c, login_answer(c, p->issuer, q->redirect_uri, q->state, code, NULL));
}

static int ask_person(struct call *c, const struct authorize_request *q, struct rk_err *err)
{
    struct login l;
    int r;

    r = login_begin(c,
                    &(struct login_purpose){ .client_id = q->client->id,
                                             .redirect_uri = q->redirect_uri,
                                             .scope = scope_text(q->scope, c->arena),
                                             .state = q->state,
                                             .nonce = q->nonce,
                                             .code_challenge = q->code_challenge,
                                             .connector_id = q->connector_id,
                                             .login_hint = q->login_hint,
                                             .fresh = q->fresh || q->max_age_s >= 0 },
                    &l, err);
    if (r == RK_EXHAUSTED)
        return view_problem(c, VIEW_TOO_MANY);
    if (r < 0)
        return r;
    return login_ask(c, &l, q->choose, err);
}

static int authorize(struct call *c, struct params *params, struct rk_err *err)
{
    struct authorize_request q;
    struct refusal why = { NULL, NULL };
    const struct provider *p;
    struct session s;
    bool found;
    int r;

    r = provider_of(c, &p, err);
    if (r < 0)
        return r;
    switch (authorize_read(params, &p->clients, &q, &why)) {
    case AUTHORIZE_BAD_CLIENT:
        return view_problem(c, VIEW_BAD_CLIENT);
    case AUTHORIZE_BAD_REDIRECT:
        return view_problem(c, VIEW_BAD_REDIRECT);
    case AUTHORIZE_REFUSED:
        return refuse(c, p, &q, why.error, why.why);
    case AUTHORIZE_OK:
        break;
    }
    r = find_usable(c, &q, &s, &found, err);
    if (r < 0)
        return r;
    if (found && !s.needs_factor)
        return answer_with_code(c, p, &q, &s, err);
    if (q.silent && found)
        return refuse(c, p, &q, "interaction_required", "a second factor is needed");
    if (q.silent)
        return refuse(c, p, &q, "login_required", "nobody is signed in");
    return ask_person(c, &q, err);
}

/* "Choose another way": a login that is under way already. */
static int choose_again(struct call *c, const char *id, struct rk_err *err)
{
    struct login l;
    int r = login_find(c, id, &l, err);

    if (r == RK_NOT_FOUND)
        return view_problem(c, VIEW_LOGIN_OVER);
    if (r < 0)
        return r;
    return login_ask(c, &l, true, err);
}

static int read_params(struct call *c, struct params *out)
{
    struct rk_err err;

    if (strcmp(c->route->method, "POST") != 0)
        return params_parse(c->query, c->arena, out, &err);
    if (!params_is_form(c->head.content_type))
        return RK_BAD_REQUEST;
    return params_parse(c->body, c->arena, out, &err);
}

int oauth_authorize(struct call *c, struct rk_err *err)
{
    struct params params;
    const char *login;

    if (read_params(c, &params) < 0)
        return view_problem(c, VIEW_BAD_REQUEST);
    login = params_get(&params, "login");
    if (login && !params_get(&params, "client_id"))
        return choose_again(c, login, err);
    return authorize(c, &params, err);
}

int oauth_authorize_with(struct call *c, const char *connector_id, struct rk_err *err)
{
    struct params params;

    if (read_params(c, &params) < 0)
        return view_problem(c, VIEW_BAD_REQUEST);
    for (size_t i = 0; i < params.n; i++)
        if (strcmp(params.list[i].name, "connector_id") == 0)
            params.list[i].name = "";
    if (params.n == PARAMS_MAX)
        return view_problem(c, VIEW_BAD_REQUEST);
    params.list[params.n].name = "connector_id";
    params.list[params.n++].value = connector_id;
    return authorize(c, &params, err);
}

int oauth_authorize_local(struct call *c, struct rk_err *err)
{
    const char *id = call_query(c, "login");
    struct login l;
    int r;

    if (!id)
        return oauth_authorize_with(c, RK_CONNECTOR_LOCAL, err);
    r = login_find(c, id, &l, err);
    if (r == RK_NOT_FOUND)
        return view_problem(c, VIEW_LOGIN_OVER);
    if (r < 0)
        return r;
    return page_redirect(c, login_path(c, &l, RK_CONNECTOR_LOCAL "/login"));
}
