/* TLS over loopback sockets: what is negotiated, what is refused, and certificates that change. */

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "libcommon/net/tls_int.h"
#include "libcommon/obs/log.h"
#include "tests/unit/net/fixture.h"

#define H2 "\x02h2"
#define BIG (1u << 20)
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/* --- a client whose every setting the test chooses, on a plain connection --- */

struct peer {
    struct end end;
    SSL_CTX *ctx;
    SSL *ssl;
    struct rk_buf clear;
    bool done;
    int alert;     /* received; -1: none */
    char name[64]; /* common name of the server's certificate */
    char alpn[16];
    int version;
};

static void peer_info(const SSL *ssl, int where, int value)
{
    struct peer *p = SSL_get_app_data(ssl);

    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && (value & 0xff) != SSL_AD_CLOSE_NOTIFY)
        p->alert = value & 0xff;
}

static void peer_init(struct fixture *f, struct peer *p, int max_version, const char *alpn)
{
    *p = (struct peer){ .alert = -1 };
    end_init(&p->end);
    rk_buf_init(&p->clear, SIZE_MAX);
    p->ctx = SSL_CTX_new(TLS_client_method());
    /* Old versions need the security level that allows their signatures. */
    SSL_CTX_set_security_level(p->ctx, 0);
    SSL_CTX_set_min_proto_version(p->ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(p->ctx, max_version);
    p->ssl = SSL_new(p->ctx);
    SSL_set_app_data(p->ssl, p);
    SSL_set_info_callback(p->ssl, peer_info);
    if (alpn)
        assert_int_equal(
            SSL_set_alpn_protos(p->ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn)), 0);
    SSL_set_bio(p->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(p->ssl);
    connect_to(f, &p->end, NULL, NULL);
}

static void peer_learn(struct peer *p)
{
    X509 *x = SSL_get1_peer_certificate(p->ssl);
    const unsigned char *chosen;
    unsigned n;

    p->done = true;
    p->version = SSL_version(p->ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, p->name, sizeof(p->name));
    X509_free(x);
    assert_int_equal(SSL_write(p->ssl, PREFACE, 24), 24); /* before that nobody is let in */
    SSL_get0_alpn_selected(p->ssl, &chosen, &n);
    assert_true(rk_str_copy(rk_strn(chosen, n), p->alpn, sizeof(p->alpn)));
}

/* Moves bytes between OpenSSL and the connection. */
static void peer_turn(struct peer *p)
{
    char bytes[16384];
    int n;

    if (p->end.opened == 0)
        return;
    if (p->end.in.n > 0) {
        BIO_write(SSL_get_rbio(p->ssl), p->end.in.p, (int)p->end.in.n);
        rk_buf_clear(&p->end.in);
    }
    if (!p->done && SSL_do_handshake(p->ssl) == 1)
        peer_learn(p);
    while ((n = SSL_read(p->ssl, bytes, sizeof(bytes))) > 0)
        rk_buf_put(&p->clear, bytes, (size_t)n);
    ERR_clear_error();
    while ((n = BIO_read(SSL_get_wbio(p->ssl), bytes, sizeof(bytes))) > 0)
        if (p->end.c)
            rk_conn_write(p->end.c, bytes, (size_t)n);
}

#define PEER_UNTIL(f, p, cond) UNTIL((f)->loop, (peer_turn(p), (cond)))

static void peer_end(struct fixture *f, struct peer *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    rk_buf_done(&p->clear);
    fixture_hang_up(f, &p->end);
}

/* --- fixture --- */

static void serve(struct fixture *f, const char *alpn, bool optional)
{
    struct rk_err err = { 0 };

    if (rk_tls_server_new(f->loop, path_in(f, "cert"), path_in(f, "key"), alpn, optional, &f->tls,
                          &err) < 0)
        fail_msg("%s", err.msg);
    fixture_listen(f, f->tls);
}

static int setup(void **state)
{
    struct fixture *f = fixture_new();
    struct pair pair;

    dir_make(f);
    pair_make(&pair, "first");
    write_file(path_in(f, "cert"), pair.cert);
    write_file(path_in(f, "ca"), pair.cert);
    write_file(path_in(f, "key"), pair.key);
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

/* --- negotiation --- */

static void h2_is_chosen_in_tls_1_2_and_1_3(void **state)
{
    struct fixture *f = *state;
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

    serve(f, H2, false);
    for (size_t i = 0; i < RK_COUNT(versions); i++) {
        struct peer p;

        peer_init(f, &p, versions[i], "\x08http/1.1" H2);
        PEER_UNTIL(f, &p, p.done && f->server.opened == 1);
        assert_int_equal(p.version, versions[i]);
        assert_string_equal(p.alpn, "h2");
        assert_string_equal(p.name, "first");
        peer_end(f, &p);
    }
}

static void an_offer_without_our_protocol_gets_the_alert_for_it(void **state)
{
    struct fixture *f = *state;

    serve(f, H2, true);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct peer p;

        peer_init(f, &p, version, "\x08http/1.1");
        PEER_UNTIL(f, &p, p.end.closed);
        assert_int_equal(p.alert, SSL_AD_NO_APPLICATION_PROTOCOL);
        assert_int_equal(f->server.opened, 0);
        peer_end(f, &p);
    }
}

static void who_offers_no_protocol_is_closed_or_taken_as_the_server_was_told(void **state)
{
    struct fixture *f = *state;
    struct rk_err err = { 0 };
    struct rk_tls *lax;
    struct peer p;

    serve(f, H2, false);
    peer_init(f, &p, TLS1_3_VERSION, NULL);
    PEER_UNTIL(f, &p, p.end.closed);
    assert_int_equal(f->server.opened, 0);
    peer_end(f, &p);
    rk_listener_close(f->listener);

    assert_int_equal(
        rk_tls_server_new(f->loop, path_in(f, "cert"), path_in(f, "key"), H2, true, &lax, &err), 0);
    rk_tls_free(f->tls);
    f->tls = lax;
    fixture_listen(f, lax);
    peer_init(f, &p, TLS1_3_VERSION, NULL);
    PEER_UNTIL(f, &p, p.done && f->server.opened == 1);
    assert_string_equal(p.alpn, "");
    peer_end(f, &p);
}

static void tls_1_1_is_refused(void **state)
{
    struct fixture *f = *state;
    static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION };

    serve(f, H2, false);
    for (size_t i = 0; i < RK_COUNT(versions); i++) {
        struct peer p;

        peer_init(f, &p, versions[i], H2);
        PEER_UNTIL(f, &p, p.end.closed);
        assert_int_equal(p.alert, SSL_AD_PROTOCOL_VERSION);
        assert_int_equal(f->server.opened, 0);
        peer_end(f, &p);
    }
}

static void renegotiation_is_refused(void **state)
{
    struct fixture *f = *state;
    struct peer p;

    serve(f, H2, false);
    peer_init(f, &p, TLS1_2_VERSION, H2);
    PEER_UNTIL(f, &p, p.done && f->server.opened == 1);
    assert_int_equal(SSL_renegotiate(p.ssl), 1);
    (void)SSL_do_handshake(p.ssl);
    PEER_UNTIL(f, &p, p.end.closed || p.alert == SSL_AD_NO_RENEGOTIATION);
    assert_int_equal(p.alert, SSL_AD_NO_RENEGOTIATION);
    peer_end(f, &p);
}

/* Each asks for an answer, which nobody reads. */
static void who_asks_for_new_keys_without_end_is_hung_up_on(void **state)
{
    struct fixture *f = *state;
    struct peer p;

    serve(f, H2, false);
    peer_init(f, &p, TLS1_3_VERSION, H2);
    PEER_UNTIL(f, &p, p.done && f->server.opened == 1 && p.end.in.n == 0);
    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(p.ssl), 1);
    }
    peer_turn(&p);
    UNTIL(f->loop, f->server.closed && p.end.closed);
    assert_string_equal(f->server.why, "peer hung up");
    assert_in_range(p.end.in.n, 0, RK_TLS_MESSAGES * 64);
    peer_end(f, &p);
}

static void what_is_not_tls_closes_the_connection(void **state)
{
    struct fixture *f = *state;
    struct end e;

    serve(f, H2, false);
    end_init(&e);
    e.greeting = PREFACE;
    connect_to(f, &e, NULL, NULL);
    UNTIL(f->loop, e.closed);
    assert_int_equal(f->server.opened, 0);
    fixture_hang_up(f, &e);
}

/* --- bytes --- */

static void bytes_pass_both_ways_whatever_their_size(void **state)
{
    struct fixture *f = *state;
    struct rk_err err = { 0 };
    struct rk_tls *tls;
    struct end e;
    char *big = rk_alloc(BIG);

    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 31 + (i >> 9));
    serve(f, H2, false);
    assert_int_equal(rk_tls_client_new(f->loop, path_in(f, "ca"), H2, &tls, &err), 0);
    end_init(&e);
    e.greeting = PREFACE;
    connect_to(f, &e, tls, "localhost");
    UNTIL(f->loop, e.opened && f->server.opened && f->server.in.n == 24);
    assert_memory_equal(f->server.in.p, PREFACE, 24);
    rk_buf_clear(&f->server.in);
    rk_conn_write(e.c, "x", 1);
    UNTIL(f->loop, f->server.in.n == 1);
    rk_conn_write(e.c, big, BIG);
    rk_conn_write(f->server.c, big, BIG);
    UNTIL(f->loop, e.in.n == BIG && f->server.in.n == BIG + 1);
    assert_memory_equal(e.in.p, big, BIG);
    assert_memory_equal(f->server.in.p + 1, big, BIG);
    assert_true(e.drained > 0 && rk_conn_queued(e.c) == 0);
    /* What was written before the orderly end arrives before it. */
    rk_conn_write(f->server.c, big, BIG);
    rk_conn_close_flush(f->server.c, "done", 10000);
    UNTIL(f->loop, e.closed && f->server.closed);
    assert_int_equal(e.in.n, 2 * BIG);
    fixture_hang_up(f, &e);
    rk_tls_free(tls);
    free(big);
}

static void a_client_believes_neither_strangers_nor_other_names(void **state)
{
    struct fixture *f = *state;
    struct rk_err err = { 0 };
    struct rk_tls *knows, *stranger;
    struct pair other;
    struct end e;

    serve(f, H2, false);
    assert_int_equal(rk_tls_client_new(f->loop, path_in(f, "ca"), H2, &knows, &err), 0);
    pair_make(&other, "other");
    write_file(path_in(f, "ca"), other.cert);
    assert_int_equal(rk_tls_client_new(f->loop, path_in(f, "ca"), H2, &stranger, &err), 0);
    end_init(&e);
    connect_to(f, &e, stranger, "localhost");
    UNTIL(f->loop, e.closed);
    assert_int_equal(e.opened, 0);
    assert_non_null(strstr(e.why, "certificate verify failed"));
    fixture_hang_up(f, &e);
    end_init(&e);
    connect_to(f, &e, knows, "elsewhere.example");
    UNTIL(f->loop, e.closed);
    assert_int_equal(e.opened, 0);
    fixture_hang_up(f, &e);
    rk_tls_free(knows);
    rk_tls_free(stranger);
}

/* --- certificates that change --- */

/* The name in the certificate that a new connection gets. */
static void expect_name(struct fixture *f, const char *name)
{
    struct peer p;

    peer_init(f, &p, TLS1_3_VERSION, H2);
    PEER_UNTIL(f, &p, p.done && f->server.opened == 1);
    assert_string_equal(p.name, name);
    peer_end(f, &p);
}

/* What the log says meanwhile. */
struct listening {
    int old_stderr;
    char path[128];
};

static void listen_to_log(struct fixture *f, struct listening *l)
{
    int fd;

    snprintf(l->path, sizeof(l->path), "%s", path_in(f, "log"));
    fd = open(l->path, O_CREAT | O_TRUNC | O_RDWR | O_APPEND, 0600);
    assert_true(fd >= 0);
    l->old_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
}

/* How often `text` was said. */
static unsigned heard(struct listening *l, const char *text)
{
    char log[8192] = "";
    FILE *file;
    unsigned count = 0;

    assert_true(dup2(l->old_stderr, STDERR_FILENO) >= 0);
    close(l->old_stderr);
    file = fopen(l->path, "r");
    assert_non_null(file);
    log[fread(log, 1, sizeof(log) - 1, file)] = '\0';
    (void)fclose(file);
    for (const char *at = log; (at = strstr(at, text)); at++)
        count++;
    return count;
}

static void a_pair_that_was_renamed_into_place_is_taken(void **state)
{
    struct fixture *f = *state;
    struct peer old;
    struct pair second;

    serve(f, H2, false);
    peer_init(f, &old, TLS1_3_VERSION, H2);
    PEER_UNTIL(f, &old, old.done && f->server.opened == 1);
    pair_make(&second, "second");
    replace_file(f, path_in(f, "cert"), second.cert);
    replace_file(f, path_in(f, "key"), second.key);
    rk_tls_check_files(f->tls);
    /* A connection keeps the certificate it began with. */
    SSL_write(old.ssl, "still", 5);
    PEER_UNTIL(f, &old, f->server.in.n == 24 + 5);
    peer_end(f, &old);
    expect_name(f, "second");
}

static void a_pair_that_was_rewritten_in_place_is_taken(void **state)
{
    struct fixture *f = *state;
    struct pair second;

    serve(f, H2, false);
    pair_make(&second, "second");
    write_file(path_in(f, "cert"), second.cert);
    write_file(path_in(f, "key"), second.key);
    rk_tls_check_files(f->tls);
    expect_name(f, "second");
}

static void a_broken_pair_leaves_the_old_one_and_is_said_once(void **state)
{
    struct fixture *f = *state;
    struct listening l;
    struct pair second;

    serve(f, H2, false);
    pair_make(&second, "second");
    listen_to_log(f, &l);
    /* Half of the change: the key is still the old one. */
    replace_file(f, path_in(f, "cert"), second.cert);
    rk_tls_check_files(f->tls);
    rk_tls_check_files(f->tls);
    assert_int_equal(heard(&l, "new TLS certificate not taken, the old one stays"), 1);
    expect_name(f, "first");
    /* Cut short in the middle of a write. */
    listen_to_log(f, &l);
    second.cert[strlen(second.cert) / 2] = '\0';
    write_file(path_in(f, "cert"), second.cert);
    write_file(path_in(f, "key"), second.key);
    rk_tls_check_files(f->tls);
    rk_tls_check_files(f->tls);
    assert_int_equal(heard(&l, "new TLS certificate not taken, the old one stays"), 1);
    expect_name(f, "first");
    /* And whole at last. */
    listen_to_log(f, &l);
    pair_make(&second, "third");
    replace_file(f, path_in(f, "cert"), second.cert);
    replace_file(f, path_in(f, "key"), second.key);
    rk_tls_check_files(f->tls);
    assert_int_equal(heard(&l, "TLS certificate read again from"), 1);
    expect_name(f, "third");
}

static void files_that_vanish_leave_the_old_pair_and_are_said_once(void **state)
{
    struct fixture *f = *state;
    struct listening l;
    struct pair second;

    serve(f, H2, false);
    assert_int_equal(unlink(path_in(f, "key")), 0);
    listen_to_log(f, &l);
    rk_tls_check_files(f->tls); /* perhaps in the middle of a replacement */
    assert_int_equal(heard(&l, "TLS"), 0);
    listen_to_log(f, &l);
    for (int i = 0; i < 5; i++)
        rk_tls_check_files(f->tls);
    assert_int_equal(heard(&l, "cannot be read, the old TLS certificate stays"), 1);
    expect_name(f, "first");
    pair_make(&second, "second");
    write_file(path_in(f, "cert"), second.cert);
    write_file(path_in(f, "key"), second.key);
    rk_tls_check_files(f->tls);
    expect_name(f, "second");
}

static void a_server_does_not_begin_with_a_pair_that_is_none(void **state)
{
    struct fixture *f = *state;
    struct rk_err err = { 0 };
    struct pair other;

    pair_make(&other, "other");
    write_file(path_in(f, "new"), other.key);
    assert_int_equal(
        rk_tls_server_new(f->loop, path_in(f, "cert"), path_in(f, "new"), H2, false, &f->tls, &err),
        RK_INVALID);
    assert_int_equal(
        rk_tls_server_new(f->loop, path_in(f, "log"), path_in(f, "key"), H2, false, &f->tls, &err),
        RK_INVALID);
    assert_non_null(strstr(err.msg, path_in(f, "log")));
    write_file(path_in(f, "new"), "no certificate");
    assert_int_equal(
        rk_tls_server_new(f->loop, path_in(f, "new"), path_in(f, "key"), H2, false, &f->tls, &err),
        RK_INVALID);
    assert_null(f->tls);
    fixture_listen(f, NULL);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(h2_is_chosen_in_tls_1_2_and_1_3),
        T(an_offer_without_our_protocol_gets_the_alert_for_it),
        T(who_offers_no_protocol_is_closed_or_taken_as_the_server_was_told),
        T(tls_1_1_is_refused),
        T(renegotiation_is_refused),
        T(who_asks_for_new_keys_without_end_is_hung_up_on),
        T(what_is_not_tls_closes_the_connection),
        T(bytes_pass_both_ways_whatever_their_size),
        T(a_client_believes_neither_strangers_nor_other_names),
        T(a_pair_that_was_renamed_into_place_is_taken),
        T(a_pair_that_was_rewritten_in_place_is_taken),
        T(a_broken_pair_leaves_the_old_one_and_is_said_once),
        T(files_that_vanish_leave_the_old_pair_and_are_said_once),
        T(a_server_does_not_begin_with_a_pair_that_is_none),
    };

    return RUN_TESTS(tests);
}
