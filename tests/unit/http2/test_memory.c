/* What a session's memory costs, and that no two blocks of it share a byte. */

#include "libcommon/http2/memory.h"

#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/alloc.h"
#include "tests/support/h2.h"

#define SLOT ((size_t)5 * 4096)
#define SESSIONS 200u /* of three blocks of slots */
#define LONG 12000u   /* a header value that no other frame is as long as */

struct side {
    struct rk_h2_memory memory;
    nghttp2_session *ng;
    struct rk_buf out;
    unsigned fields; /* that came and were as they should be */
};

static size_t pages(const struct rk_h2_memory *m)
{
    unsigned char there[SLOT / 4096];
    size_t n = 0;

    assert_int_equal(mincore(m->slot, SLOT, there), 0);
    for (size_t i = 0; i < sizeof(there); i++)
        n += there[i] & 1;
    return n;
}

static ssize_t on_send(nghttp2_session *ng, const uint8_t *p, size_t n, int flags, void *arg)
{
    struct side *s = arg;

    (void)ng;
    (void)flags;
    rk_buf_put(&s->out, p, n);
    return (ssize_t)n;
}

/* All of a long value's bytes are the first one. */
static int on_header(nghttp2_session *ng,
                     const nghttp2_frame *f,
                     const uint8_t *name,
                     size_t name_n,
                     const uint8_t *value,
                     size_t value_n,
                     uint8_t flags,
                     void *arg)
{
    struct side *s = arg;

    (void)ng;
    (void)f;
    (void)name;
    (void)name_n;
    (void)flags;
    if (value_n == LONG && memcmp(value, value + 1, LONG - 1) == 0)
        s->fields++;
    return 0;
}

static void side_init(struct side *s, bool server)
{
    nghttp2_mem mem = rk_h2_memory_init(&s->memory);
    nghttp2_session_callbacks *cb;

    s->fields = 0;
    rk_buf_init(&s->out, SIZE_MAX);
    assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
    nghttp2_session_callbacks_set_send_callback(cb, on_send);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    assert_int_equal(server ? nghttp2_session_server_new3(&s->ng, cb, s, NULL, &mem)
                            : nghttp2_session_client_new3(&s->ng, cb, s, NULL, &mem),
                     0);
    nghttp2_session_callbacks_del(cb);
    assert_int_equal(nghttp2_submit_settings(s->ng, 0, NULL, 0), 0);
}

static void side_done(struct side *s)
{
    nghttp2_session_del(s->ng);
    rk_h2_memory_done(&s->memory);
    rk_buf_done(&s->out);
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                         strlen(value), 0 };
}

static void hear(struct side *s, struct rk_buf *b)
{
    assert_int_equal(nghttp2_session_mem_recv(s->ng, b->p, b->n), b->n);
    assert_int_equal(nghttp2_session_send(s->ng), 0);
    rk_buf_clear(b);
}

/* A stream is open whose headers were answered, as an agent's are; memory that others have used
 * would have been resident from the start. */
static void an_idle_session_has_one_page(void **state)
{
    struct side *v = rk_new_array(struct side, SESSIONS);
    nghttp2_nv answer[] = { nv(":status", "200"), nv("content-type", "application/grpc"),
                            nv("x-registered", "1") };
    rk_auto(rk_buf_done) struct rk_buf b;

    (void)state;
    rk_buf_init(&b, SIZE_MAX);
    for (size_t i = 0; i < SESSIONS; i++) {
        side_init(&v[i], true);
        rk_buf_put_c(&b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        frame(&b, 4, 0, 0, NULL, 0);
        request(&b, 1, "POST", "/service/Method", "application/grpc");
        hear(&v[i], &b);
        assert_int_equal(
            nghttp2_submit_headers(v[i].ng, 0, 1, NULL, answer, RK_COUNT(answer), NULL), 0);
        assert_int_equal(nghttp2_session_send(v[i].ng), 0);
        assert_true(v[i].memory.large);
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        assert_int_equal(pages(&v[i].memory), 1);
        side_done(&v[i]);
    }
    free(v);
}

static void only_a_few_free_slots_keep_their_pages(void **state)
{
    struct rk_h2_memory *v = rk_new_array(struct rk_h2_memory, SESSIONS);
    size_t kept = 0;

    (void)state;
    for (size_t i = 0; i < SESSIONS; i++) {
        (void)rk_h2_memory_init(&v[i]);
        memset(v[i].slot, 1, SLOT);
        assert_int_equal(pages(&v[i]), SLOT / 4096);
    }
    for (size_t i = 0; i < SESSIONS; i++)
        rk_h2_memory_done(&v[i]);
    for (size_t i = 0; i < SESSIONS; i++)
        kept += pages(&v[i]);
    assert_int_equal(kept, 64 * SLOT / 4096);
    free(v);
}

/* Each of two connections has its own frames under way. */
static void long_frames_are_whole(void **state)
{
    static const char *const letters = "ab";
    struct side client[2], server[2];
    char value[LONG + 1] = { 0 };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        side_init(&client[i], false);
        side_init(&server[i], true);
    }
    for (unsigned round = 0; round < 3; round++)
        for (size_t i = 0; i < 2; i++) {
            nghttp2_nv fields[] = { nv(":method", "POST"), nv(":scheme", "http"), nv(":path", "/"),
                                    nv(":authority", "a"), nv("long", value) };

            memset(value, letters[i], LONG);
            fields[4].valuelen = LONG;
            assert_true(nghttp2_submit_request(client[i].ng, NULL, fields, RK_COUNT(fields), NULL,
                                               NULL) > 0);
            assert_int_equal(nghttp2_session_send(client[i].ng), 0);
        }
    for (size_t i = 0; i < 2; i++) {
        hear(&server[i], &client[i].out);
        assert_int_equal(server[i].fields, 3);
        side_done(&client[i]);
        side_done(&server[i]);
    }
}

/* As much as fits is in the slot, whatever nghttp2 asks for in what order. */
static void blocks_keep_what_is_in_them(void **state)
{
    static const size_t sizes[] = { 1, 3000, 500, 460, 100, 16400, 16400, 8192, 0, 20000 };
    struct rk_h2_memory m;
    nghttp2_mem mem = rk_h2_memory_init(&m);
    uint8_t *v[RK_COUNT(sizes)];

    (void)state;
    memset(m.slot, 0xee, SLOT);
    for (size_t i = 0; i < RK_COUNT(sizes); i++) {
        v[i] = i % 2 ? mem.calloc(1, sizes[i], &m) : mem.malloc(sizes[i], &m);
        assert_int_equal((uintptr_t)v[i] % 16, 0);
        for (size_t j = 0; i % 2 && j < sizes[i]; j++)
            assert_int_equal(v[i][j], 0);
        memset(v[i], (int)i, sizes[i]);
    }
    assert_true(m.large);
    for (size_t i = 0; i < RK_COUNT(sizes); i++) {
        size_t n = sizes[i] / 2 + 1;

        if (i % 3 == 0)
            v[i] = mem.realloc(v[i], n, &m);
        for (size_t j = 0; j < n && j < sizes[i]; j++)
            assert_int_equal(v[i][j], i);
    }
    for (size_t i = 0; i < RK_COUNT(sizes); i++)
        mem.free(v[i], &m);
    assert_false(m.large);
    mem.free(mem.realloc(NULL, 16400, &m), &m);
    rk_h2_memory_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_session_has_one_page), /* first: in slots as they are made */
        cmocka_unit_test(only_a_few_free_slots_keep_their_pages),
        cmocka_unit_test(long_frames_are_whole),
        cmocka_unit_test(blocks_keep_what_is_in_them),
    };

    return RUN_TESTS(tests);
}
