/* See static.h. */

#include "services/dashboard-api/page/static.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "libcommon/base/encode.h"
#include "libcommon/crypto/hash.h"

#define PREFIX "/oauth2/static/"
#define DIGEST_BYTES 8

#define EMBED(symbol, file)                                                                        \
    __asm__(".section .rodata\n" #symbol "_begin:\n"                                               \
            ".incbin \"" STATIC_DIR "/" file "\"\n" #symbol "_end:\n"                              \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char symbol##_begin[] __asm__(#symbol "_begin"),                                  \
        symbol##_end[] __asm__(#symbol "_end")

EMBED(static_style, "style.css");
EMBED(static_logo, "logo.svg");
EMBED(static_passkey, "passkey.js");

static struct asset {
    const char *stem, *extension, *type;
    const char *begin, *end;
    char path[80];
} assets[] = {
    { "style", "css", "text/css; charset=utf-8", static_style_begin, static_style_end, "" },
    { "logo", "svg", "image/svg+xml", static_logo_begin, static_logo_end, "" },
    { "passkey", "js", "text/javascript; charset=utf-8", static_passkey_begin, static_passkey_end,
      "" },
};
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct rk_str content(const struct asset *a)
{
    return rk_strn(a->begin, (size_t)((uintptr_t)a->end - (uintptr_t)a->begin));
}

static void name_all(void)
{
    for (size_t i = 0; i < RK_COUNT(assets); i++) {
        struct asset *a = &assets[i];
        struct rk_str bytes = content(a);
        uint8_t digest[32];
        char hex[2 * DIGEST_BYTES + 1];

        rk_sha256(bytes.p, bytes.n, digest);
        rk_hex_encode(digest, DIGEST_BYTES, hex);
        snprintf(a->path, sizeof(a->path), PREFIX "%s-%s.%s", a->stem, hex, a->extension);
    }
}

const char *static_path(const char *name)
{
    struct rk_str rest = rk_str(name), stem;

    (void)pthread_once(&once, name_all);
    (void)rk_str_next(&rest, '.', &stem);
    for (size_t i = 0; i < RK_COUNT(assets); i++)
        if (rk_str_eq(stem, rk_str(assets[i].stem)))
            return assets[i].path;
    assert(false && "a file of page/static");
    return "";
}

int static_get(struct call *c, struct rk_err *err)
{
    struct rk_str name = rk_str(c->var[0]);

    (void)pthread_once(&once, name_all);
    for (size_t i = 0; i < RK_COUNT(assets); i++) {
        const struct asset *a = &assets[i];
        struct rk_str rest = name, stem;

        (void)rk_str_next(&rest, '-', &stem);
        if (!rk_str_eq(stem, rk_str(a->stem)) || !rk_str_ends(name, rk_str(a->extension)))
            continue;
        c->content_type = a->type;
        /* While two releases run side by side a page of one may ask the other, which has only its
         * own. */
        call_header(c, "Cache-Control",
                    rk_str_eq(name, rk_str(a->path + sizeof(PREFIX) - 1))
                        ? "public, max-age=31536000, immutable"
                        : "no-store");
        rk_buf_put_str(&c->out, content(a));
        return 0;
    }
    return rk_fail(err, RK_NOT_FOUND, "no such file");
}
