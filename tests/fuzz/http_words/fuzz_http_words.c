// links: dashboard-api
/* What an HTTP request says beside its body, from any bytes: the admin port's request, a list's
 * paging, entity tags and cookies. The first byte chooses. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include "libcommon/admin/request.h"
#include "services/dashboard-api/call.h"
#include "services/dashboard-api/http/etag.h"
#include "services/dashboard-api/login/familiar.h"
#include "services/dashboard-api/page/cookie.h"

#define LIST_N 6

/* Every rank that sorting knows, and a member that is not everywhere. */
static const char list[] =
    "[{\"id\":\"a\",\"name\":\"p10\",\"n\":3,\"on\":true,\"at\":\"2026-01-02T03:04:05Z\"},"
    "{\"id\":\"b\",\"name\":\"P2\",\"n\":-1.5,\"on\":false,\"at\":\"2026-01-02T03:04:05.5Z\"},"
    "{\"id\":\"c\",\"name\":null,\"n\":{\"a\":[1]},\"on\":[],\"at\":\"never\"},"
    "{\"id\":\"d\",\"name\":\"a \\\"q\\\" \\\\ \\u0001\"},{},"
    "{\"id\":\"\",\"name\":\"\",\"n\":\"4\",\"groups\":[{\"name\":\"g\"},\"x\"]}]";

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What is decided about a beginning of it stays so, whatever follows. */
static void try_admin(struct rk_str text)
{
    struct rk_admin_request all = { 0 }, part = { 0 };
    enum rk_admin_parsed whole = rk_admin_request_parse(text, &all), so_far = RK_ADMIN_MORE;

    if (whole == RK_ADMIN_READY) {
        assert(all.method.n > 0 && all.path.n > 0 && all.path.p[0] == '/');
        assert(!memchr(all.path.p, '?', all.path.n) && !memchr(all.path.p, ' ', all.path.n));
    }
    if (text.n > 512)
        return;
    for (size_t i = 0; i < text.n && so_far == RK_ADMIN_MORE; i++)
        so_far = rk_admin_request_parse(rk_strn(text.p, i), &part);
    if (so_far == RK_ADMIN_MORE)
        return;
    assert(so_far == whole);
    if (so_far == RK_ADMIN_READY)
        assert(rk_str_eq(part.method, all.method) && rk_str_eq(part.path, all.path));
}

static void check_link(const char *link)
{
    for (; *link; link++)
        assert(*link >= ' ' && *link < 0x7f);
}

static void try_page(struct rk_str query, struct rk_arena *arena)
{
    rk_auto(rk_buf_done) struct rk_buf b = { 0 };
    struct rk_err err = { 0 };
    struct page page;
    uint64_t total = 0, before, there;
    json_t *out;
    int r = page_parse(query, arena, &page, &err);

    if (r < 0) {
        assert(r == RK_INVALID && err.msg[0] != '\0');
        return;
    }
    assert(page.page >= 1 && page.per <= PAGE_MAX && page.sort_n <= PAGE_MAX_SORT);
    rk_buf_init(&b, 4096);
    rk_buf_put_str(&b, RK_STR(list));
    r = page_apply(&page, arena, &b, &total, &err);
    assert(r == 0 && total <= LIST_N && (page.q[0] != '\0' || total == LIST_N));
    before = page.per > 0 ? (page.page - 1) * page.per : 0;
    there = before < total ? total - before : 0;
    if (page.per > 0 && there > page.per)
        there = page.per;
    out = json_loadb((const char *)b.p, b.n, 0, NULL);
    assert(json_is_array(out) && json_array_size(out) == there);
    json_decref(out);
    check_link(page_link(&page, query, total, arena));
}

static void try_tags(struct rk_str text)
{
    char tag[ETAG_LEN + 1];

    etag_of(RK_STR("[]"), tag);
    if (etag_listed(text, tag, false))
        assert(etag_listed(text, tag, true));
    else if (etag_listed(text, tag, true))
        assert(memmem(text.p, text.n, tag, ETAG_LEN));
}

static void try_cookies(struct rk_str text, struct rk_arena *arena)
{
    struct rk_seal seal;
    struct rk_err err = { 0 };
    struct call c = { .arena = arena, .seal = &seal };
    const char *value;

    if (memchr(text.p, '\0', text.n))
        return; /* no header has one */
    c.head.cookie = rk_arena_strn(arena, text);
    value = cookie_get(&c, "netbird-familiar");
    assert(!value || (value[0] != '\0' && !strchr(value, ';')));
    (void)cookie_page(&c);
    if (rk_seal_init(&seal, RK_STR("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), &err) < 0)
        abort();
    /* Nobody has made one for that person. */
    assert(!familiar_is(&c, "nobody@d.test"));
    rk_seal_done(&seal);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rk_auto(rk_arena_free) struct rk_arena *arena = rk_arena_new((size_t)16 << 20);
    struct rk_str text;

    if (n == 0)
        return 0;
    text = rk_strn(p + 1, n - 1);
    switch (p[0]) {
    case 'a':
        try_admin(text);
        break;
    case 'p':
        try_page(text, arena);
        break;
    case 'e':
        try_tags(text);
        break;
    default:
        try_cookies(text, arena);
    }
    return 0;
}
