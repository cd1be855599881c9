/* The server behind TLS: agents get h2 by ALPN, and who speaks something else is told so. */

#include <unistd.h>

#include "libcommon/net/conn.h"
#include "tests/support/certificate.h"
#include "tests/unit/grpc/fixture.h"

struct files {
    char dir[64], cert[80], key[80];
};

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct files files;
static struct rk_tls *server_tls;

static int setup(void **state)
{
    struct fixture *f = rk_new(struct fixture);
    const char *base = getenv("TMPDIR");
    struct rk_err err = { 0 };
    struct pair pair;

    snprintf(files.dir, sizeof(files.dir), "%.40s/grpcXXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(files.dir));
    snprintf(files.cert, sizeof(files.cert), "%s/cert", files.dir);
    snprintf(files.key, sizeof(files.key), "%s/key", files.dir);
    pair_make(&pair, "server");
    put(files.cert, pair.cert);
    put(files.key, pair.key);
    f->loop = rk_loop_new();
    /* As the services do it. */
    if (rk_tls_server_new(f->loop, files.cert, files.key, "\x02h2", true, &server_tls, &err) < 0)
        fail_msg("%s", err.msg);
    fixture_init(f, server_tls, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(unlink(files.cert) | unlink(files.key) | rmdir(files.dir), 0);
    rk_tls_free(server_tls);
    return fixture_teardown(state);
}

static struct rk_tls *client_tls(struct fixture *f, const char *alpn)
{
    struct rk_err err = { 0 };
    struct rk_tls *tls;

    if (rk_tls_client_new(f->loop, files.cert, alpn, &tls, &err) < 0)
        fail_msg("%s", err.msg);
    return tls;
}

static void a_client_that_offers_h2_is_served(void **state)
{
    struct fixture *f = *state;
    struct rk_tls *tls = client_tls(f, "\x02h2");
    struct rk_grpc_client_call *c;
    struct client cl;
    struct seen s;
    char *big = pattern(1 << 20, 'q');

    client_open(f, &cl, tls);
    seen_init(&s);
    c = rk_grpc_call(cl.c, "/t.T/Echo", NULL, NULL, 0, &seen_ops, &s);
    rk_grpc_call_send(c, rk_strn(big, 1 << 20), true);
    UNTIL(f, s.done);
    assert_int_equal(s.status, 0);
    assert_int_equal(s.bytes, 1 << 20);
    assert_false(s.wrong);
    client_close(f, &cl);
    rk_tls_free(tls);
    free(big);
}

/* --- HTTP/1.1 inside TLS --- */

struct probe {
    struct rk_buf in;
    bool closed;
};

static void probe_open(struct rk_conn *c, void *arg)
{
    (void)arg;
    rk_conn_write(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
}

static void probe_read(struct rk_conn *c, const uint8_t *p, size_t n, void *arg)
{
    struct probe *probe = arg;

    (void)c;
    rk_buf_put(&probe->in, p, n);
}

static void probe_closed(struct rk_conn *c, const char *why, void *arg)
{
    struct probe *probe = arg;

    (void)c;
    (void)why;
    probe->closed = true;
}

static const struct rk_conn_ops probe_ops = { probe_open, probe_read, NULL, probe_closed };

static void probe(struct fixture *f, struct rk_tls *tls, struct probe *p)
{
    struct rk_err err = { 0 };
    struct rk_conn *c;

    p->closed = false;
    rk_buf_init(&p->in, 65536);
    assert_int_equal(
        rk_conn_connect(f->loop, &f->addr, tls, tls ? "localhost" : NULL, &probe_ops, p, &c, &err),
        0);
    UNTIL(f, p->closed);
}

static void a_client_without_alpn_is_told_what_this_is(void **state)
{
    struct fixture *f = *state;
    struct rk_tls *tls = client_tls(f, NULL);
    struct probe p;

    probe(f, tls, &p);
    assert_true(rk_str_starts(rk_buf_str(&p.in),
                              RK_STR("HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\n")));
    rk_buf_done(&p.in);
    rk_tls_free(tls);
}

static void a_client_that_offers_http1_alone_is_refused_by_the_handshake(void **state)
{
    struct fixture *f = *state;
    struct rk_tls *tls = client_tls(f, "\x08http/1.1");
    struct probe p;

    probe(f, tls, &p);
    assert_int_equal(p.in.n, 0);
    rk_buf_done(&p.in);
    rk_tls_free(tls);
}

static void cleartext_on_the_tls_port_is_closed(void **state)
{
    struct fixture *f = *state;
    struct probe p;

    probe(f, NULL, &p);
    assert_false(rk_str_starts(rk_buf_str(&p.in), RK_STR("HTTP/")));
    rk_buf_done(&p.in);
    UNTIL(f, rk_grpc_server_connections(f->server) == 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_client_that_offers_h2_is_served),
        T(a_client_without_alpn_is_told_what_this_is),
        T(a_client_that_offers_http1_alone_is_refused_by_the_handshake),
        T(cleartext_on_the_tls_port_is_closed),
    };

    return RUN_TESTS(tests);
}
