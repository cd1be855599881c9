/* Sessions that are resumed, over memory: a server's context as services make it, and a client. */

#include "libcommon/net/ticket.h"
#include "libcommon/net/tls.h"
#include "tests/support/tls_memory.h"
#include "tests/unit/net/fixture.h"

#define H2 "\x02h2"

struct client {
    SSL_CTX *ctx;
    SSL_SESSION *session; /* the newest that a server gave */
};

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct client *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void client_init(struct client *c, int version)
{
    *c = (struct client){ .ctx = SSL_CTX_new(TLS_client_method()) };
    SSL_CTX_set_app_data(c->ctx, c);
    SSL_CTX_set_max_proto_version(c->ctx, version);
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(c->ctx, keep_session);
    assert_int_equal(SSL_CTX_set_alpn_protos(c->ctx, (const unsigned char *)H2, sizeof(H2) - 1), 0);
}

static void client_done(struct client *c)
{
    SSL_SESSION_free(c->session);
    SSL_CTX_free(c->ctx);
}

/* A handshake with what the client remembers, and a byte, with which a ticket comes; whether the
 * session was resumed. */
static bool meet(struct client *c, struct rk_tls *server)
{
    SSL *s = SSL_new(rk_tls_ctx(server)), *k = SSL_new(c->ctx);
    char byte = 'x';
    bool resumed;

    if (c->session)
        assert_int_equal(SSL_set_session(k, c->session), 1);
    tls_shake_hands(s, k);
    assert_true(SSL_is_init_finished(s) && SSL_is_init_finished(k));
    assert_int_equal(SSL_write(s, &byte, 1), 1);
    tls_carry(s, k);
    assert_int_equal(SSL_read(k, &byte, 1), 1);
    resumed = SSL_session_reused(k);
    assert_int_equal(SSL_session_reused(s), resumed);
    SSL_set_shutdown(k, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* or the session is no good */
    SSL_free(s);
    SSL_free(k);
    return resumed;
}

static struct rk_tls *replica(struct fixture *f)
{
    struct rk_err err = { 0 };
    struct rk_tls *tls;

    if (rk_tls_server_new(f->loop, path_in(f, "cert"), path_in(f, "key"), H2, false, &tls, &err) <
        0)
        fail_msg("%s", err.msg);
    return tls;
}

static void new_pair(struct fixture *f, const char *name)
{
    struct pair pair;

    pair_make(&pair, name);
    write_file(path_in(f, "cert"), pair.cert);
    write_file(path_in(f, "key"), pair.key);
}

static void who_comes_back_resumes_with_any_replica(void **state)
{
    struct fixture *f = *state;
    struct rk_tls *one = replica(f), *other = replica(f);
    struct client c;

    client_init(&c, TLS1_3_VERSION);
    assert_false(meet(&c, one));
    assert_non_null(c.session);
    assert_true(meet(&c, other));
    assert_true(meet(&c, one));
    client_done(&c);
    rk_tls_free(one);
    rk_tls_free(other);
}

static void another_private_key_ends_all_sessions(void **state)
{
    struct fixture *f = *state;
    struct rk_tls *old = replica(f), *renewed;
    struct client c;

    client_init(&c, TLS1_3_VERSION);
    assert_false(meet(&c, old));
    new_pair(f, "second");
    renewed = replica(f);
    assert_false(meet(&c, renewed));
    assert_true(meet(&c, renewed));
    client_done(&c);
    rk_tls_free(old);
    rk_tls_free(renewed);
}

/* There a ticket's key would open what was said. */
static void tls_1_2_has_no_tickets(void **state)
{
    struct fixture *f = *state;
    struct rk_tls *one = replica(f);
    struct client c;

    client_init(&c, TLS1_2_VERSION);
    assert_false(meet(&c, one));
    assert_false(meet(&c, one));
    client_done(&c);
    rk_tls_free(one);
}

/* A ticket of which a byte was changed is none. */
static void a_ticket_that_is_not_ours_means_a_full_handshake(void **state)
{
    struct fixture *f = *state;
    struct rk_tls *one = replica(f);
    struct client c;
    unsigned char *text = NULL;
    const unsigned char *ticket, *at;
    size_t n;
    int text_n;

    client_init(&c, TLS1_3_VERSION);
    assert_false(meet(&c, one));
    text_n = i2d_SSL_SESSION(c.session, &text);
    assert_true(text_n > 0);
    SSL_SESSION_get0_ticket(c.session, &ticket, &n);
    for (at = text; memcmp(at, ticket, n) != 0; at++)
        assert_true(at + n < text + text_n);
    text[(size_t)(at - text) + n / 2] ^= 1;
    SSL_SESSION_free(c.session);
    at = text;
    c.session = d2i_SSL_SESSION(NULL, &at, text_n);
    assert_non_null(c.session);
    assert_false(meet(&c, one));
    assert_true(meet(&c, one));
    OPENSSL_free(text);
    client_done(&c);
    rk_tls_free(one);
}

static int setup(void **state)
{
    struct fixture *f = fixture_new();

    dir_make(f);
    new_pair(f, "first");
    f->tls = replica(f);
    fixture_listen(f, f->tls); /* as the fixture wants it; nobody comes */
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    dir_remove(f);
    fixture_free(f);
    return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(who_comes_back_resumes_with_any_replica),
        T(another_private_key_ends_all_sessions),
        T(tls_1_2_has_no_tickets),
        T(a_ticket_that_is_not_ours_means_a_full_handshake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
