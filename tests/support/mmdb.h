#pragma once

/* Writes small city databases in MaxMind's format (.mmdb, IPv6 tree, 24-bit records). */

#include "tests/support/test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/alloc.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/prefix.h"

struct mmdb_row {
    const char *prefix;
    const char *code, *country; /* code NULL: a record without a country */
    const char *city;           /* NULL: none */
    uint32_t id;
    double latitude, longitude; /* both 0: none */
};

#define MMDB_MAX_NODES 4096
#define MMDB_EMPTY 0xffffffffu
#define MMDB_DATA 0x80000000u /* | offset in the data section */

struct mmdb_tree {
    uint32_t child[MMDB_MAX_NODES][2];
    uint32_t n;
};

static RK_UNUSED void mmdb_put_str(struct rk_buf *b, const char *s)
{
    size_t n = strlen(s);

    if (n < 29) {
        rk_buf_put_u8(b, (uint8_t)(0x40 | n));
    } else {
        rk_buf_put_u8(b, 0x40 | 29);
        rk_buf_put_u8(b, (uint8_t)(n - 29));
    }
    rk_buf_put(b, s, n);
}

static RK_UNUSED void mmdb_put_map(struct rk_buf *b, unsigned members)
{
    rk_buf_put_u8(b, (uint8_t)(0xe0 | members));
}

static RK_UNUSED void mmdb_put_u32(struct rk_buf *b, uint32_t v)
{
    rk_buf_put_u8(b, 0xc4);
    rk_buf_put_be32(b, v);
}

static RK_UNUSED void mmdb_put_u16(struct rk_buf *b, uint16_t v)
{
    rk_buf_put_u8(b, 0xa2);
    rk_buf_put_be16(b, v);
}

static RK_UNUSED void mmdb_put_double(struct rk_buf *b, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    rk_buf_put_u8(b, 0x68);
    rk_buf_put_be32(b, (uint32_t)(bits >> 32));
    rk_buf_put_be32(b, (uint32_t)bits);
}

static RK_UNUSED void mmdb_put_named(struct rk_buf *b, const char *name)
{
    mmdb_put_str(b, "names");
    mmdb_put_map(b, 1);
    mmdb_put_str(b, "en");
    mmdb_put_str(b, name);
}

static RK_UNUSED void mmdb_put_place(struct rk_buf *b, const struct mmdb_row *row)
{
    bool located = row->latitude != 0 || row->longitude != 0;

    mmdb_put_map(b, 1 + (row->code != NULL) + (row->city != NULL) + located);
    if (located) {
        mmdb_put_str(b, "location");
        mmdb_put_map(b, 2);
        mmdb_put_str(b, "latitude");
        mmdb_put_double(b, row->latitude);
        mmdb_put_str(b, "longitude");
        mmdb_put_double(b, row->longitude);
    }
    mmdb_put_str(b, "continent");
    mmdb_put_map(b, 1);
    mmdb_put_str(b, "code");
    mmdb_put_str(b, "EU");
    if (row->code) {
        mmdb_put_str(b, "country");
        mmdb_put_map(b, 2);
        mmdb_put_str(b, "iso_code");
        mmdb_put_str(b, row->code);
        mmdb_put_named(b, row->country);
    }
    if (row->city) {
        mmdb_put_str(b, "city");
        mmdb_put_map(b, 2);
        mmdb_put_str(b, "geoname_id");
        mmdb_put_u32(b, row->id);
        mmdb_put_named(b, row->city);
    }
}

static RK_UNUSED uint32_t mmdb_node(struct mmdb_tree *t)
{
    assert_true(t->n < MMDB_MAX_NODES);
    t->child[t->n][0] = t->child[t->n][1] = MMDB_EMPTY;
    return t->n++;
}

static RK_UNUSED void mmdb_insert(struct mmdb_tree *t, const char *prefix, uint32_t value)
{
    struct rk_prefix p;
    uint8_t addr[16] = { 0 };
    uint32_t node = 0;
    unsigned bits;

    assert_true(rk_prefix_parse(rk_str(prefix), &p));
    bits = p.family == AF_INET ? p.bits + 96 : p.bits;
    if (p.family == AF_INET)
        memcpy(addr + 12, p.addr, 4);
    else
        memcpy(addr, p.addr, 16);
    for (unsigned i = 0; i < bits; i++) {
        unsigned side = addr[i / 8] >> (7 - i % 8) & 1;

        if (i + 1 == bits) {
            t->child[node][side] = value;
            return;
        }
        if (t->child[node][side] == MMDB_EMPTY)
            t->child[node][side] = mmdb_node(t);
        node = t->child[node][side];
    }
}

static RK_UNUSED void mmdb_put_record(struct rk_buf *b, const struct mmdb_tree *t, uint32_t v)
{
    uint32_t record = v == MMDB_EMPTY ? t->n : (v & MMDB_DATA) ? t->n + 16 + (v & ~MMDB_DATA) : v;

    rk_buf_put_u8(b, (uint8_t)(record >> 16));
    rk_buf_put_be16(b, (uint16_t)record);
}

/* The bytes of a database; rk_buf_done them. `built` seconds since 1970. */
static RK_UNUSED void
mmdb_make(const struct mmdb_row *rows, size_t n, uint32_t built, struct rk_buf *out)
{
    struct mmdb_tree *t = rk_new(struct mmdb_tree);
    struct rk_buf data;

    rk_buf_init(&data, 1 << 20);
    rk_buf_init(out, 1 << 22);
    (void)mmdb_node(t);
    for (size_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)data.n;

        mmdb_put_place(&data, &rows[i]);
        mmdb_insert(t, rows[i].prefix, MMDB_DATA | at);
    }
    for (uint32_t i = 0; i < t->n; i++) {
        mmdb_put_record(out, t, t->child[i][0]);
        mmdb_put_record(out, t, t->child[i][1]);
    }
    for (int i = 0; i < 16; i++)
        rk_buf_put_u8(out, 0);
    rk_buf_put(out, data.p, data.n);
    rk_buf_put_c(out, "\xab\xcd\xefMaxMind.com");
    mmdb_put_map(out, 9);
    mmdb_put_str(out, "node_count");
    mmdb_put_u32(out, t->n);
    mmdb_put_str(out, "record_size");
    mmdb_put_u16(out, 24);
    mmdb_put_str(out, "ip_version");
    mmdb_put_u16(out, 6);
    mmdb_put_str(out, "database_type");
    mmdb_put_str(out, "Test-City");
    mmdb_put_str(out, "languages");
    rk_buf_put(out, "\x01\x04", 2); /* an array of one */
    mmdb_put_str(out, "en");
    mmdb_put_str(out, "binary_format_major_version");
    mmdb_put_u16(out, 2);
    mmdb_put_str(out, "binary_format_minor_version");
    mmdb_put_u16(out, 0);
    mmdb_put_str(out, "build_epoch");
    rk_buf_put(out, "\x04\x02", 2); /* uint64 in four bytes */
    rk_buf_put_be32(out, built);
    mmdb_put_str(out, "description");
    mmdb_put_map(out, 0);
    rk_buf_done(&data);
    free(t);
}

/* In place, as `cp` over an old file does it. */
static RK_UNUSED void mmdb_save(const char *path, struct rk_str bytes)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
    assert_int_equal(fclose(f), 0);
}

/* Beside it and renamed, as it should be done. */
static RK_UNUSED void mmdb_replace(const char *path, struct rk_str bytes)
{
    char tmp[256];

    snprintf(tmp, sizeof(tmp), "%s.new", path);
    mmdb_save(tmp, bytes);
    assert_int_equal(rename(tmp, path), 0);
}
