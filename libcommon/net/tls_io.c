#include "libcommon/net/tls_io.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int bio_read(BIO *b, char *out, size_t n, size_t *got)
{
    struct rk_tls_io *io = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (io->in_n == 0) {
        BIO_set_retry_read(b);
        *got = 0;
        return 0;
    }
    if (n > io->in_n)
        n = io->in_n;
    memcpy(out, io->in, n);
    io->in += n;
    io->in_n -= n;
    *got = n;
    return 1;
}

static int bio_write(BIO *b, const char *p, size_t n, size_t *done)
{
    struct rk_tls_io *io = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    io->put(io, p, n);
    *done = n;
    return 1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static pthread_once_t method_once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rk_tls_io");
    if (!method)
        abort();
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

void rk_tls_io_attach(struct rk_tls_io *io, SSL *ssl)
{
    BIO *b;

    pthread_once(&method_once, make_method);
    b = BIO_new(method);
    if (!b)
        abort(); /* memory is out */
    BIO_set_data(b, io);
    BIO_set_init(b, 1);
    SSL_set_bio(ssl, b, b);
}
