#pragma once

/* Certificates made on the spot: self-signed, EC, good for an hour. */

#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "libcommon/base/attr.h"
#include "tests/support/test.h"

/* Self-signed, for `hosts` as OpenSSL writes alternative names; `name` becomes its common name. */
static RK_UNUSED X509 *certificate_new(EVP_PKEY *key, const char *name, const char *hosts)
{
    X509 *x = X509_new();
    X509_NAME *subject;
    X509_EXTENSION *ext;

    assert_non_null(x);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    subject = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, subject);
    ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, hosts);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

/* The text of both files. */
struct pair {
    char cert[4096];
    char key[2048];
};

static RK_UNUSED void bio_text(BIO *b, char *out, size_t size)
{
    int n = BIO_read(b, out, (int)size - 1);

    assert_in_range(n, 1, (int)size - 1);
    out[n] = '\0';
    BIO_free(b);
}

static RK_UNUSED void pair_make_for(struct pair *p, const char *name, const char *hosts)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = certificate_new(key, name, hosts);
    BIO *b = BIO_new(BIO_s_mem());

    PEM_write_bio_X509(b, x);
    bio_text(b, p->cert, sizeof(p->cert));
    b = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
    bio_text(b, p->key, sizeof(p->key));
    X509_free(x);
    EVP_PKEY_free(key);
}

static RK_UNUSED void pair_make(struct pair *p, const char *name)
{
    pair_make_for(p, name, "DNS:localhost");
}
