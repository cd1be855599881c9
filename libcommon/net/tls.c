/*
 * TLS contexts. What a context needs beyond OpenSSL's own state (the ALPN list) hangs on the
 * SSL_CTX itself, so a connection that began with an old context may outlive both the reload and
 * the struct rk_tls.
 */

#include "libcommon/net/tls.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/clock.h"
#include "libcommon/net/ticket.h"
#include "libcommon/net/tls_int.h"
#include "libcommon/obs/log.h"

#define RELOAD_CHECK_MS 2000

struct alpn {
    bool optional;
    unsigned n;
    unsigned char list[];
};

/* What tells that a file is another one than before. */
struct stamp {
    struct timespec mtime;
    ino_t ino;
    off_t size;
};

struct rk_tls {
    pthread_mutex_t lock; /* guards ctx of a server */
    SSL_CTX *ctx;
    bool server;
    char *cert_file;
    char *key_file;
    char *alpn;
    bool alpn_optional;
    struct stamp cert_stamp;
    struct stamp key_stamp;
    unsigned missing; /* looks in a row that found a file gone */
    struct rk_timer timer;
};

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int alpn_index = -1, rate_index = -1;

static void alpn_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    (void)parent;
    (void)ad;
    (void)idx;
    (void)argl;
    (void)argp;
    free(ptr);
}

static void make_index(void)
{
    alpn_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, alpn_free);
    rate_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static void ctx_free(SSL_CTX *ctx)
{
    SSL_CTX_free(ctx);
}
RK_DEFINE_AUTO(SSL_CTX, ctx_free)

int rk_tls_fail(struct rk_err *err, int code, const char *what)
{
    char text[256] = "no reason given";
    unsigned long e = ERR_get_error();

    if (e != 0)
        ERR_error_string_n(e, text, sizeof(text));
    ERR_clear_error();
    return rk_fail(err, code, "%s: %s", what, text);
}

/* Our order decides; an offer without a match is refused with no_application_protocol. */
static int on_alpn(SSL *ssl,
                   const unsigned char **out,
                   unsigned char *out_n,
                   const unsigned char *in,
                   unsigned in_n,
                   void *arg)
{
    const struct alpn *a = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), alpn_index);
    unsigned char *chosen = NULL;

    (void)arg;
    if (SSL_select_next_proto(&chosen, out_n, a->list, a->n, in, in_n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

bool rk_tls_alpn_ok(SSL *ssl)
{
    const struct alpn *a = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), alpn_index);
    const unsigned char *p = NULL;
    unsigned n = 0;

    SSL_get0_alpn_selected(ssl, &p, &n);
    return n > 0 || a->n == 0 || a->optional;
}

/* True once a window has more than its messages. Window and count are one word in place of a
 * pointer, and nothing is held for a connection that has none. */
static bool one_more(SSL *ssl)
{
    uint64_t window = rk_mono_ms() / RK_TLS_WINDOW_MS;
    uint64_t was = (uintptr_t)SSL_get_ex_data(ssl, rate_index);
    uint64_t count = was >> 16 == window ? (was & 0xffff) + 1 : 1;

    if (count > RK_TLS_MESSAGES)
        return true;
    SSL_set_ex_data(ssl, rate_index, (void *)(uintptr_t)(window << 16 | count)); /* NOLINT */
    return false;
}

/* OpenSSL works through all that has come until there is something for us, and of what is for
 * itself, and answered, there may be no end: key updates, and the hellos of TLS 1.2, each of which
 * is refused with an alert. Who sends many has hung up: the next read says so. */
static void
on_tls_message(int sent, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
    const uint8_t *first = p;
    bool ours = sent && type == SSL3_RT_ALERT;
    bool theirs = !sent && type == SSL3_RT_HANDSHAKE && n > 0;

    (void)version;
    (void)arg;
    if ((theirs && *first == SSL3_MT_CLIENT_HELLO && n > RK_TLS_MAX_HELLO) ||
        ((ours || (theirs && *first == SSL3_MT_KEY_UPDATE)) && one_more(ssl)))
        SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
}

static SSL_CTX *ctx_base(bool server, const char *alpn, bool alpn_optional)
{
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    size_t n = alpn ? strlen(alpn) : 0;
    struct alpn *a = rk_zalloc(sizeof(*a) + n + 1);

    if (!ctx)
        abort(); /* memory is out */
    pthread_once(&index_once, make_index);
    a->optional = alpn_optional;
    a->n = (unsigned)n;
    if (n > 0)
        memcpy(a->list, alpn, n);
    SSL_CTX_set_ex_data(ctx, alpn_index, a);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0); /* but for who would use one: ticket.c */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return ctx;
}

static bool stamp_of(const char *file, struct stamp *out)
{
    struct stat st;

    if (stat(file, &st) < 0)
        return false;
    *out = (struct stamp){ .mtime = st.st_mtim, .ino = st.st_ino, .size = st.st_size };
    return true;
}

static bool stamp_eq(const struct stamp *a, const struct stamp *b)
{
    return a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
           a->ino == b->ino && a->size == b->size;
}

static int load_pair(SSL_CTX *ctx, const char *cert_file, const char *key_file, struct rk_err *err)
{
    char what[300];

    ERR_clear_error();
    snprintf(what, sizeof(what), "certificate %s", cert_file);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
        return rk_tls_fail(err, RK_INVALID, what);
    snprintf(what, sizeof(what), "key %s", key_file);
    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        return rk_tls_fail(err, RK_INVALID, what);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return rk_tls_fail(err, RK_INVALID, "key and certificate do not belong together");
    return 0;
}

static int server_load(struct rk_tls *t, SSL_CTX **out, struct rk_err *err)
{
    rk_auto(ctx_free) SSL_CTX *ctx = ctx_base(true, t->alpn, t->alpn_optional);
    int r = load_pair(ctx, t->cert_file, t->key_file, err);

    if (r < 0)
        return r;
    r = rk_ticket_use(ctx, err);
    if (r < 0)
        return r;
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    SSL_CTX_set_msg_callback(ctx, on_tls_message);
    *out = rk_steal(ctx);
    return 0;
}

void rk_tls_check_files(struct rk_tls *t)
{
    struct stamp cert, key;
    struct rk_err err = { 0 };
    SSL_CTX *ctx = NULL;

    if (!stamp_of(t->cert_file, &cert) || !stamp_of(t->key_file, &key)) {
        /* Once may be in the middle of a replacement. */
        if (++t->missing == 2)
            rk_warn(NULL, "%s or %s cannot be read, the old TLS certificate stays", t->cert_file,
                    t->key_file);
        return;
    }
    t->missing = 0;
    if (stamp_eq(&cert, &t->cert_stamp) && stamp_eq(&key, &t->key_stamp))
        return;
    /* Remembered also when the pair is bad, so that the log has it once a change. */
    t->cert_stamp = cert;
    t->key_stamp = key;
    if (server_load(t, &ctx, &err) < 0) {
        rk_warn(NULL, "new TLS certificate not taken, the old one stays: %s", err.msg);
        return;
    }
    pthread_mutex_lock(&t->lock);
    SSL_CTX_free(t->ctx);
    t->ctx = ctx;
    pthread_mutex_unlock(&t->lock);
    rk_info(NULL, "TLS certificate read again from %s", t->cert_file);
}

static void on_timer(struct rk_timer *timer)
{
    rk_tls_check_files(rk_container_of(timer, struct rk_tls, timer));
}

static void tls_destroy(struct rk_tls *t)
{
    SSL_CTX_free(t->ctx);
    pthread_mutex_destroy(&t->lock);
    free(t->cert_file);
    free(t->key_file);
    free(t->alpn);
    free(t);
}

static void on_timer_closed(struct rk_timer *timer)
{
    tls_destroy(rk_container_of(timer, struct rk_tls, timer));
}

int rk_tls_server_new(struct rk_loop *l,
                      const char *cert_file,
                      const char *key_file,
                      const char *alpn,
                      bool alpn_optional,
                      struct rk_tls **out,
                      struct rk_err *err)
{
    struct rk_tls *t = rk_new(struct rk_tls);
    int r;

    pthread_mutex_init(&t->lock, NULL);
    t->server = true;
    t->cert_file = rk_strdup(cert_file);
    t->key_file = rk_strdup(key_file);
    t->alpn = rk_strdup(alpn ? alpn : "");
    t->alpn_optional = alpn_optional;
    /* Before the load: a change in between is then seen as one. */
    (void)stamp_of(cert_file, &t->cert_stamp);
    (void)stamp_of(key_file, &t->key_stamp);
    r = server_load(t, &t->ctx, err);
    if (r < 0) {
        tls_destroy(t);
        return r;
    }
    rk_timer_init(l, &t->timer, on_timer);
    uv_unref((uv_handle_t *)&t->timer.uv);
    rk_timer_start(&t->timer, RELOAD_CHECK_MS, RELOAD_CHECK_MS);
    *out = t;
    return 0;
}

int rk_tls_client_new(struct rk_loop *l,
                      const char *ca_file,
                      const char *alpn,
                      struct rk_tls **out,
                      struct rk_err *err)
{
    rk_auto(ctx_free) SSL_CTX *ctx = ctx_base(false, alpn, false);
    struct rk_tls *t;

    (void)l;
    ERR_clear_error();
    if (ca_file ? SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1
                : SSL_CTX_set_default_verify_paths(ctx) != 1)
        return rk_tls_fail(err, RK_INVALID, ca_file ? ca_file : "system certificates");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (alpn && SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)alpn, (unsigned)strlen(alpn)))
        return rk_tls_fail(err, RK_INVALID, "ALPN list");
    t = rk_new(struct rk_tls);
    pthread_mutex_init(&t->lock, NULL);
    t->ctx = rk_steal(ctx);
    *out = t;
    return 0;
}

int rk_tls_client_show(struct rk_tls *t,
                       const char *cert_file,
                       const char *key_file,
                       struct rk_err *err)
{
    return load_pair(t->ctx, cert_file, key_file, err);
}

void rk_tls_free(struct rk_tls *t)
{
    if (!t)
        return;
    if (t->server)
        rk_timer_close(&t->timer, on_timer_closed);
    else
        tls_destroy(t);
}

SSL_CTX *rk_tls_ctx(struct rk_tls *t)
{
    return t->ctx;
}

SSL *rk_tls_end(struct rk_tls *t)
{
    SSL_CTX *ctx;
    SSL *ssl;

    pthread_mutex_lock(&t->lock);
    ctx = t->ctx;
    SSL_CTX_up_ref(ctx);
    pthread_mutex_unlock(&t->lock);
    ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (!ssl)
        abort(); /* memory is out */
    if (t->server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return ssl;
}
