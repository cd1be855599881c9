/*
 * What is read may have been read before. Such a request is checked first (kept/check.h): Postgres
 * says whose token it is and at which version everything stands that the answer could show. When
 * that answer is kept as of this very version, it is given again, here on the loop. Otherwise a
 * worker makes it, as for any other request, and it is kept as of the version that was read before:
 * if anything changes meanwhile, nobody will find it.
 */

#include <string.h>

#include "libcommon/base/clock.h"
#include "libcommon/crypto/hash.h"
#include "services/dashboard-api/http/server_int.h"

/* Two users never share an answer, even if it would be the same. */
static struct rk_str key_of(struct request *q)
{
    size_t user = strlen(q->check.user_id) + 1, uri = strlen(q->uri);
    char *key = rk_arena_alloc(q->arena, user + uri);

    memcpy(key, q->check.user_id, user);
    memcpy(key + user, q->uri, uri);
    return rk_strn(key, user + uri);
}

/* Where the answer is what is kept: whole, or that the client has it already. */
static void give(struct request *q, struct kept_answer *a)
{
    q->kept = a;
    q->state = REQUEST_ANSWERED;
    memcpy(q->etag, a->etag, sizeof(q->etag));
    q->call.paged = a->paged;
    q->call.total = a->total;
    q->call.link = a->link;
    q->status =
        q->if_none_match && etag_listed(rk_str(q->if_none_match), q->etag, true) ? 304 : 200;
}

/* After Postgres was away it may be another one, whose versions mean something else. */
static void forget_after_failure(struct server *s)
{
    if (s->kept_failures == check_failures(s->check))
        return;
    s->kept_failures = check_failures(s->check);
    kept_clear(s->kept);
}

static void note_version(struct request *q)
{
    size_t n = strlen(q->check.version);

    memcpy(q->version, q->check.version, n);
    q->version[n++] = ' ';
    (void)rk_str_copy(rk_str(q->route->kept == KEPT_PEERS ? q->check.presence : ""), q->version + n,
                      sizeof(q->version) - n);
}

static void look(struct server *s, struct request *q)
{
    struct kept_answer *a;

    if (!q->check.known)
        return;
    note_version(q);
    a = kept_find(s->kept, key_of(q), q->version, rk_mono_ms());
    server_count_known(a != NULL);
    if (!a)
        return;
    memcpy(q->call.caller.pat_id, q->check.pat_id, sizeof(q->call.caller.pat_id));
    give(q, a);
    s->ops.on_done(q, s->arg);
}

static void on_checked(struct check_item *it)
{
    struct request *q = rk_container_of(it, struct request, check);
    struct server *s = q->server;

    q->checking = false;
    server_come_home(s, q);
    forget_after_failure(s);
    if (server_wants(q))
        look(s, q);
    if (server_wants(q) && server_submit(s, q, q->route->pool))
        return;
    if (q->kept && q->connection)
        server_resume(q);
    server_finish(s, q, false);
}

/* A client that says so gets what Postgres has, whatever is kept. */
static bool wants_fresh(struct request *q)
{
    const char *control =
        MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, "Cache-Control");

    return control && strstr(control, "no-cache");
}

bool known_ask(struct server *s, struct request *q)
{
    if (q->route->kept == KEPT_NOT || q->call.jwt || wants_fresh(q) ||
        (s->shared->config->token_rate_limit && q->token))
        return false; /* where they are limited each is counted, on a worker */
    if (q->route->kept != KEPT_PUBLIC)
        rk_sha256_b64(rk_str(q->token), q->check.hash);
    q->check.on_done = on_checked;
    if (!check_add(s->check, &q->check))
        return false;
    server_take_in(s, q, POOL_COMMON);
    return true;
}

void known_keep(struct server *s, struct request *q)
{
    struct call *c = &q->call;
    struct kept_answer *a;

    if (q->worker_status != 200 || c->content_type || c->no_store || c->headers_n > 0)
        return;
    a = kept_answer_new(c->out.p, c->out.n, q->etag, c->link);
    c->out = (struct rk_buf){ .max = c->out.max };
    a->paged = c->paged;
    a->total = c->total;
    kept_put(s->kept, key_of(q), q->version, rk_mono_ms(), a);
    give(q, a);
}
