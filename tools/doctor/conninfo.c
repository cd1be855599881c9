#include "tools/doctor/conninfo.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/crypto/box.h"
#include "libcommon/pg/connect.h"

#define TEXT_MAX 16384

static void put(struct rk_buf *out, const char *key, struct rk_str value)
{
    rk_buf_printf(out, "%s='", key);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'' || value.p[i] == '\\')
            rk_buf_put_u8(out, '\\');
        rk_buf_put_u8(out, (uint8_t)value.p[i]);
    }
    rk_buf_put_c(out, "' ");
}

static struct rk_str option(const PQconninfoOption *all, const char *key)
{
    for (; all->keyword; all++)
        if (strcmp(all->keyword, key) == 0)
            return rk_str(all->val ? all->val : "");
    return RK_STR("");
}

static bool is_of_a_host(const char *key)
{
    return strcmp(key, "host") == 0 || strcmp(key, "hostaddr") == 0 || strcmp(key, "port") == 0 ||
           strcmp(key, "target_session_attrs") == 0;
}

static void split_off(const PQconninfoOption *all, unsigned i, struct conninfo_host *out)
{
    static const char *const keys[] = { "host", "hostaddr", "port" };
    struct rk_str host = pg_list_at(option(all, "host"), i),
                  port = pg_list_at(option(all, "port"), i);
    struct rk_buf text;

    if (host.n == 0)
        host = pg_list_at(option(all, "hostaddr"), i);
    out->name = host.n == 0 ? rk_strdup("")
                            : rk_asprintf("%.*s:%.*s", RK_STR_FMT(host),
                                          RK_STR_FMT(port.n > 0 ? port : RK_STR("5432")));
    rk_buf_init(&text, TEXT_MAX);
    for (const PQconninfoOption *o = all; o->keyword; o++)
        if (o->val && !is_of_a_host(o->keyword))
            put(&text, o->keyword, rk_str(o->val));
    for (size_t k = 0; k < RK_COUNT(keys); k++) {
        struct rk_str value = pg_list_at(option(all, keys[k]), i);

        if (value.n > 0)
            put(&text, keys[k], value);
    }
    put(&text, "target_session_attrs", RK_STR("any"));
    out->conninfo = rk_strndup((const char *)text.p, text.n);
    rk_wipe(text.p, text.n);
    rk_buf_done(&text);
}

int conninfo_split(const char *conninfo,
                   struct conninfo_host out[CONNINFO_HOSTS_MAX],
                   unsigned *out_n,
                   struct rk_err *err)
{
    PQconninfoOption *all = PQconninfoParse(conninfo, NULL);
    unsigned n, addresses;

    if (!all) /* libpq's own words may repeat a password */
        return rk_fail(err, RK_INVALID, "postgres is no conninfo that libpq understands");
    n = pg_list_count(option(all, "host"));
    addresses = pg_list_count(option(all, "hostaddr"));
    if (n < addresses)
        n = addresses;
    if (n > CONNINFO_HOSTS_MAX)
        n = CONNINFO_HOSTS_MAX;
    for (unsigned i = 0; i < n; i++)
        split_off(all, i, &out[i]);
    PQconninfoFree(all);
    *out_n = n;
    return 0;
}

void conninfo_host_done(struct conninfo_host *h)
{
    rk_wipe(h->conninfo, strlen(h->conninfo));
    free(h->conninfo);
    free(h->name);
}
