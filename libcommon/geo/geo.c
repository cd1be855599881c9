/*
 * See geo.h. What is in effect is one immutable, counted copy; a mutex covers no more than taking a
 * reference to it. libmaxminddb maps files, and whoever overwrites a mapped file can kill us with
 * it: so the file is copied into anonymous memory first, and that is what gets mapped.
 */

#include "libcommon/geo/geo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "libcommon/geo/geo_int.h"

#define COPY_CHUNK ((size_t)1 << 20)

const char *const geo_country_code[] = { "country", "iso_code", NULL };
const char *const geo_country_name[] = { "country", "names", "en", NULL };
const char *const geo_city_name[] = { "city", "names", "en", NULL };
const char *const geo_city_id[] = { "city", "geoname_id", NULL };
static const char *const latitude_path[] = { "location", "latitude", NULL };
static const char *const longitude_path[] = { "location", "longitude", NULL };
const char *const geo_continent[] = { "continent", "code", NULL };

struct database {
    _Atomic unsigned refs;
    MMDB_s db;
    struct rk_geo_lists *lists; /* NULL: not wanted */
};

/* What tells one state of the file from another. */
struct stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
};

struct rk_geo {
    char *path; /* NULL: none */
    bool lists;
    /* The refreshing thread's: what the last call found. */
    enum {
        NOTHING_ASKED,
        WAS_ABSENT,
        WAS_THERE
    } last;
    struct stamp seen;
    pthread_mutex_t lock;
    struct database *current; /* under lock */
};

static void database_unref(struct database *d)
{
    if (!d || atomic_fetch_sub(&d->refs, 1) > 1)
        return;
    MMDB_close(&d->db);
    rk_geo_lists_unref(d->lists);
    free(d);
}
RK_DEFINE_AUTO(struct database, database_unref)

static struct database *database_ref(struct rk_geo *g)
{
    struct database *d;

    pthread_mutex_lock(&g->lock);
    d = g->current;
    if (d)
        atomic_fetch_add(&d->refs, 1);
    pthread_mutex_unlock(&g->lock);
    return d;
}

struct rk_geo *rk_geo_new(const char *path, bool lists)
{
    struct rk_geo *g = rk_new(struct rk_geo);

    g->path = path && path[0] != '\0' ? rk_strdup(path) : NULL;
    g->lists = lists;
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

void rk_geo_free(struct rk_geo *g)
{
    if (!g)
        return;
    database_unref(g->current);
    pthread_mutex_destroy(&g->lock);
    free(g->path);
    free(g);
}

static struct stamp stamp_of(const struct stat *st)
{
    struct stamp s;

    memset(&s, 0, sizeof(s)); /* compared bytewise */
    s.dev = st->st_dev;
    s.ino = st->st_ino;
    s.size = st->st_size;
    s.mtime = st->st_mtim;
    s.ctime = st->st_ctim;
    return s;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* Up to RK_GEO_MAX_FILE bytes of `from` in anonymous memory; a file descriptor, or -1 with errno.
 */
static int copy_of(int from)
{
    int to = memfd_create("geo", MFD_CLOEXEC);
    uint64_t left = RK_GEO_MAX_FILE;
    ssize_t n = 1;

    if (to < 0)
        return -1;
    while (n > 0 && left > 0) {
        n = sendfile(to, from, NULL, COPY_CHUNK);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            left -= (uint64_t)n < left ? (uint64_t)n : left;
    }
    if (n < 0) {
        close(to);
        return -1;
    }
    return to;
}

static bool copy_checked(int copy)
{
    struct stat st;
    void *p;
    bool good;

    if (fstat(copy, &st) < 0 || st.st_size == 0)
        return false;
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, copy, 0);
    if (p == MAP_FAILED)
        return false;
    good = geo_check(p, (size_t)st.st_size);
    munmap(p, (size_t)st.st_size);
    return good;
}

static int database_map(int copy, bool lists, struct database **out, struct rk_err *err)
{
    struct database *d;
    char path[64];
    int r;

    if (!copy_checked(copy))
        return rk_fail(err, RK_INVALID, "it is no such database, or not all of one");
    snprintf(path, sizeof(path), "/proc/self/fd/%d", copy);
    d = rk_new(struct database);
    d->refs = 1;
    r = MMDB_open(path, MMDB_MODE_MMAP, &d->db);
    if (r != MMDB_SUCCESS) {
        free(d);
        return rk_fail(err, RK_INVALID, "%s", MMDB_strerror(r));
    }
    r = lists ? geo_lists_read(&d->db, &d->lists, err) : 0;
    if (r < 0) {
        database_unref(d);
        return r;
    }
    *out = d;
    return 0;
}

/* The file as it was at one moment: one that changed while it was read is left for the next time.
 */
static int
database_load(int fd, const struct stamp *at, bool lists, struct database **out, struct rk_err *err)
{
    struct stat after;
    struct stamp now;
    int copy, r;

    if (at->size > (off_t)RK_GEO_MAX_FILE)
        return rk_fail(err, RK_INVALID, "larger than %llu bytes",
                       (unsigned long long)RK_GEO_MAX_FILE);
    copy = copy_of(fd);
    if (copy < 0)
        return rk_fail(err, RK_INVALID, "%s", strerror(errno));
    if (fstat(fd, &after) < 0) {
        close(copy);
        return rk_fail(err, RK_INVALID, "%s", strerror(errno));
    }
    now = stamp_of(&after);
    r = same_stamp(at, &now) ? database_map(copy, lists, out, err)
                             : rk_fail(err, RK_CONFLICT, "being written");
    close(copy); /* the mapping keeps it */
    return r;
}

static void put_into_effect(struct rk_geo *g, struct database *next)
{
    struct database *old;

    pthread_mutex_lock(&g->lock);
    old = g->current;
    g->current = next;
    pthread_mutex_unlock(&g->lock);
    database_unref(old);
}

/* The file that is open, unless it is the one that was seen. */
static int refresh_from(struct rk_geo *g, int fd, struct rk_err *err)
{
    struct database *next = NULL;
    struct rk_err why = { 0 };
    struct stat st;
    struct stamp now;
    int r;

    if (fstat(fd, &st) < 0)
        return rk_fail(err, RK_INVALID, "%s: %s", g->path, strerror(errno));
    now = stamp_of(&st);
    if (g->last == WAS_THERE && same_stamp(&g->seen, &now))
        return RK_GEO_SAME;
    g->last = WAS_THERE;
    g->seen = now;
    r = S_ISREG(st.st_mode) ? database_load(fd, &now, g->lists, &next, &why)
                            : rk_fail(&why, RK_INVALID, "not a file");
    if (r == RK_CONFLICT)
        return RK_GEO_SAME; /* it is another one by now, which the next call will find */
    if (r < 0)
        return rk_fail(err, r, "%s: %s", g->path, why.msg);
    put_into_effect(g, next);
    return RK_GEO_LOADED;
}

int rk_geo_refresh(struct rk_geo *g, struct rk_err *err)
{
    bool news;
    int fd, r;

    if (!g->path)
        return RK_GEO_SAME;
    fd = open(g->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        news = g->last != WAS_ABSENT;
        g->last = WAS_ABSENT;
        return news ? rk_fail(err, RK_NOT_FOUND, "%s: %s", g->path, strerror(errno)) : RK_GEO_SAME;
    }
    r = refresh_from(g, fd, err);
    close(fd);
    return r;
}

bool rk_geo_loaded(struct rk_geo *g)
{
    rk_auto(database_unref) struct database *d = database_ref(g);

    return d != NULL;
}

uint64_t rk_geo_built_s(struct rk_geo *g)
{
    rk_auto(database_unref) struct database *d = database_ref(g);

    return d ? d->db.metadata.build_epoch : 0;
}

struct rk_geo_lists *rk_geo_lists_ref(struct rk_geo *g)
{
    rk_auto(database_unref) struct database *d = database_ref(g);

    return d && d->lists ? geo_lists_ref(d->lists) : NULL;
}

static bool parse_address(const char *ip, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
    struct in6_addr a;

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, ip, &a) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&a)) {
        memcpy(&v4->sin_addr, &a.s6_addr[12], 4);
        v4->sin_family = AF_INET;
    } else {
        v6->sin6_addr = a;
        v6->sin6_family = AF_INET6;
    }
    return true;
}

void geo_text(MMDB_entry_s *entry, char *out, size_t size, const char *const *path)
{
    MMDB_entry_data_s data;
    struct rk_str s;

    out[0] = '\0';
    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data ||
        data.type != MMDB_DATA_TYPE_UTF8_STRING)
        return;
    s = rk_strn(data.utf8_string, data.data_size < size - 1 ? data.data_size : size - 1);
    while (s.n > 0 && s.n < data.data_size && ((unsigned char)data.utf8_string[s.n] & 0xc0) == 0x80)
        s.n--; /* not in the middle of a character */
    if (rk_utf8_valid(s))
        (void)rk_str_copy(s, out, size);
}

uint32_t geo_number(MMDB_entry_s *entry, const char *const *path)
{
    MMDB_entry_data_s data;

    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data)
        return 0;
    if (data.type == MMDB_DATA_TYPE_UINT32)
        return data.uint32;
    return data.type == MMDB_DATA_TYPE_UINT16 ? data.uint16 : 0;
}

/* Degrees, at most `max` to either side. */
static bool degrees(MMDB_entry_s *entry, const char *const *path, double max, double *out)
{
    MMDB_entry_data_s data;

    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data ||
        data.type != MMDB_DATA_TYPE_DOUBLE ||
        !(data.double_value >= -max && data.double_value <= max))
        return false;
    *out = data.double_value;
    return true;
}

bool geo_code_valid(const char *code)
{
    return code[0] >= 'A' && code[0] <= 'Z' && code[1] >= 'A' && code[1] <= 'Z' && code[2] == '\0';
}

bool rk_geo_lookup(struct rk_geo *g, const char *ip, struct rk_geo_place *out)
{
    rk_auto(database_unref) struct database *d = database_ref(g);
    MMDB_lookup_result_s found;
    struct sockaddr_storage addr;
    int error = MMDB_SUCCESS;

    memset(out, 0, sizeof(*out));
    if (!d || !parse_address(ip, &addr))
        return false;
    found = MMDB_lookup_sockaddr(&d->db, (const struct sockaddr *)&addr, &error);
    if (error != MMDB_SUCCESS || !found.found_entry)
        return false;
    geo_text(&found.entry, out->country, sizeof(out->country), geo_country_code);
    geo_text(&found.entry, out->continent, sizeof(out->continent), geo_continent);
    geo_text(&found.entry, out->city, sizeof(out->city), geo_city_name);
    out->geoname_id = geo_number(&found.entry, geo_city_id);
    out->located = degrees(&found.entry, latitude_path, 90, &out->latitude) &&
                   degrees(&found.entry, longitude_path, 180, &out->longitude);
    if (!geo_code_valid(out->country))
        out->country[0] = '\0';
    return out->country[0] != '\0' || out->city[0] != '\0';
}
