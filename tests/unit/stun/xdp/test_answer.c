/* The program for the kernel, run as ordinary code: what it answers is what a thread would, and
 * what it leaves to the threads. */

#include "tests/support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/support/xdp_frame.h"
#include "tests/support/xdp_machine.h"

static const uint8_t question[] = { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 9,  8,
                                    7, 6, 5, 4, 3,    2,    1,    0,    11, 12 };
/* With an attribute: SOFTWARE, "abcd". */
static const uint8_t wordy[] = { 0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, 9, 8, 7,   6,   5,   4,
                                 3, 2, 1, 0, 11,   12,   0x80, 0x22, 0, 4, 'a', 'b', 'c', 'd' };

static struct frame asked(bool ipv6, const char *from, const uint8_t *payload, size_t n)
{
    struct frame f = { .ipv6 = ipv6, .from_port = 40000, .to_port = 3478, .payload = payload };

    f.n = n;
    assert_int_equal(inet_pton(AF_INET6, from, f.from), 1);
    assert_int_equal(inet_pton(AF_INET6, ipv6 ? "2001:db8::1" : "::ffff:192.0.2.1", f.to), 1);
    return f;
}

static int set_up(void **state)
{
    uint8_t ip[16];

    (void)state;
    machine_set_up(0);
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", ip), 1);
    machine_answer_at(ip, 3478);
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", ip), 1);
    machine_answer_at(ip, 3478);
    return 0;
}

static int run(const struct frame *f)
{
    uint8_t frame[FRAME_MAX];
    const uint8_t *out;
    size_t n;

    return machine_run(frame, frame_make(f, frame), &out, &n);
}

/* Who asked, as a thread's socket tells it. */
static void source_of(const struct frame *f, struct sockaddr_in6 *out)
{
    *out = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(f->from_port) };
    memcpy(&out->sin6_addr, f->from, 16);
}

static void is_answered(bool ipv6, const char *from)
{
    struct frame f = asked(ipv6, from, question, sizeof(question));
    size_t n, ip = frame_ip(ipv6), want_n;
    uint8_t frame[FRAME_MAX], want[STUN_MAX_REPLY];
    struct sockaddr_in6 source;
    const uint8_t *out;

    assert_int_equal(machine_run(frame, frame_make(&f, frame), &out, &n), XDP_TX);
    assert_true(frame_is_right(out, n, ipv6));
    assert_memory_equal(out, frame + 6, 6); /* to the neighbour it came from */
    assert_memory_equal(out + 6, frame, 6);
    assert_memory_equal(out + FRAME_ETH + ip - (ipv6 ? 32 : 8), f.to + (ipv6 ? 0 : 12),
                        ipv6 ? 16 : 4);
    assert_memory_equal(out + FRAME_ETH + ip - (ipv6 ? 16 : 4), f.from + (ipv6 ? 0 : 12),
                        ipv6 ? 16 : 4);
    assert_int_equal(frame_get16(out + FRAME_ETH + ip), f.to_port);
    assert_int_equal(frame_get16(out + FRAME_ETH + ip + 2), f.from_port);
    source_of(&f, &source);
    want_n = stun_answer(question, (const struct sockaddr *)&source, want);
    assert_int_equal(n, FRAME_ETH + ip + FRAME_UDP + want_n);
    assert_memory_equal(out + FRAME_ETH + ip + FRAME_UDP, want, want_n);
}

static void an_answer_is_what_a_thread_would_say(void **state)
{
    (void)state;
    is_answered(false, "::ffff:198.51.100.7");
    is_answered(false, "::ffff:10.0.0.1");
    is_answered(true, "2001:db8:1:2:3:4:5:6");
    is_answered(true, "fd00::1");
    assert_int_equal(machine_counts.of[STUN_COUNT_REQUESTS], 4);
    assert_int_equal(machine_counts.of[STUN_COUNT_ANSWERS], 4);
}

/* A checksum that comes to zero would say that there is none. */
static void every_checksum_is_right(void **state)
{
    struct frame f = asked(false, "::ffff:198.51.100.7", question, sizeof(question));
    uint8_t frame[FRAME_MAX];

    (void)state;
    for (unsigned port = 1; port < 65536; port++) {
        const uint8_t *out;
        size_t n;

        f.from_port = (uint16_t)port;
        assert_int_equal(machine_run(frame, frame_make(&f, frame), &out, &n), XDP_TX);
        assert_true(frame_is_right(out, n, false));
        assert_int_not_equal(frame_get16(out + FRAME_ETH + FRAME_IP4 + 6), 0);
    }
}

static void passes(const struct frame *f)
{
    assert_int_equal(run(f), XDP_PASS);
}

static void senders_whom_the_kernel_judges_are_its_business(void **state)
{
    static const char *const v4[] = { "::ffff:0.0.0.0", "::ffff:127.0.0.1", "::ffff:224.0.0.1",
                                      "::ffff:255.255.255.255" };
    static const char *const v6[] = { "::", "::1", "::ffff:198.51.100.7", "fe80::1", "ff02::1" };
    struct frame f;

    (void)state;
    for (unsigned i = 0; i < RK_COUNT(v4); i++) {
        f = asked(false, v4[i], question, sizeof(question));
        passes(&f);
    }
    for (unsigned i = 0; i < RK_COUNT(v6); i++) {
        f = asked(true, v6[i], question, sizeof(question));
        passes(&f);
    }
    f = asked(false, "::ffff:198.51.100.7", question, sizeof(question));
    f.from_port = 0;
    passes(&f);
}

static void what_goes_elsewhere_passes(void **state)
{
    struct frame f = asked(false, "::ffff:198.51.100.7", question, sizeof(question));

    (void)state;
    f.to_port = 3479;
    passes(&f);
    f.to_port = 3478;
    f.to[15]++;
    passes(&f);
    f = asked(true, "2001:db8::2", question, sizeof(question));
    f.to[0] = 0x21;
    passes(&f);
    assert_int_equal(machine_counts.of[STUN_COUNT_REQUESTS], 0);
}

/* One byte of a good question's frame is another: `with_ip_sum` the IP header's checksum agrees. */
static int run_changed(size_t at, uint8_t value, bool with_ip_sum)
{
    struct frame f = asked(false, "::ffff:198.51.100.7", question, sizeof(question));
    uint8_t frame[FRAME_MAX], *ip = frame + FRAME_ETH;
    size_t n = frame_make(&f, frame);
    const uint8_t *out;

    frame[at] = value;
    if (with_ip_sum) {
        frame_put16(ip + 10, 0);
        frame_put16(ip + 10, (uint16_t)~frame_sum(0, ip, FRAME_IP4));
    }
    return machine_run(frame, n, &out, &n);
}

static void what_only_the_kernel_takes_apart_passes(void **state)
{
    struct frame f = asked(false, "::ffff:198.51.100.7", wordy, sizeof(wordy));

    (void)state;
    passes(&f);
    assert_int_equal(run_changed(12, 0x81, false), XDP_PASS);             /* a VLAN's */
    assert_int_equal(run_changed(FRAME_ETH, 0x46, true), XDP_PASS);       /* options */
    assert_int_equal(run_changed(FRAME_ETH + 6, 0x20, true), XDP_PASS);   /* a first fragment */
    assert_int_equal(run_changed(FRAME_ETH + 7, 0x01, true), XDP_PASS);   /* a later one */
    assert_int_equal(run_changed(FRAME_ETH + 9, 6, true), XDP_PASS);      /* TCP */
    assert_int_equal(run_changed(FRAME_ETH + 8, 1, false), XDP_PASS);     /* IP's checksum */
    assert_int_equal(run_changed(FRAME_ETH + 27, 0x99, false), XDP_PASS); /* UDP's */
    assert_int_equal(run_changed(FRAME_ETH + 6, 0x40, true), XDP_TX);     /* not to be fragmented */
    assert_int_equal(machine_counts.of[STUN_COUNT_REQUESTS], 1);
}

static void a_cut_frame_passes(void **state)
{
    struct frame f = asked(false, "::ffff:198.51.100.7", question, sizeof(question));
    uint8_t frame[FRAME_MAX];
    size_t n = frame_make(&f, frame), got;
    const uint8_t *out;

    (void)state;
    for (size_t part = 0; part < n; part++)
        assert_int_equal(machine_run(frame, part, &out, &got), XDP_PASS);
    frame[n] = 0; /* more than IP says */
    assert_int_equal(machine_run(frame, n + 1, &out, &got), XDP_PASS);
}

static void without_a_checksum_only_ipv4_is_answered(void **state)
{
    struct frame f = asked(false, "::ffff:198.51.100.7", question, sizeof(question));
    uint8_t frame[FRAME_MAX];
    size_t n = frame_make(&f, frame);
    const uint8_t *out;

    (void)state;
    frame_put16(frame + FRAME_ETH + FRAME_IP4 + 6, 0);
    assert_int_equal(machine_run(frame, n, &out, &n), XDP_TX);
    f = asked(true, "2001:db8::2", question, sizeof(question));
    n = frame_make(&f, frame);
    frame_put16(frame + FRAME_ETH + FRAME_IP6 + 6, 0);
    assert_int_equal(machine_run(frame, n, &out, &n), XDP_PASS);
}

static void what_nobody_answers_is_dropped_and_counted(void **state)
{
    uint8_t payload[sizeof(question)] = { 0 };
    struct frame f = asked(false, "::ffff:198.51.100.7", payload, sizeof(payload));

    (void)state;
    memcpy(payload, question, sizeof(question));
    payload[4] = 0x22; /* no cookie */
    assert_int_equal(run(&f), XDP_DROP);
    memcpy(payload, question, sizeof(question));
    payload[0] = 0x40; /* no STUN */
    assert_int_equal(run(&f), XDP_DROP);
    f.n = 7;
    assert_int_equal(run(&f), XDP_DROP);
    assert_int_equal(machine_counts.of[STUN_COUNT_DROP_MALFORMED], 3);
    f.n = sizeof(payload);
    memcpy(payload, question, sizeof(question));
    payload[1] = 2;
    assert_int_equal(run(&f), XDP_DROP);
    assert_int_equal(machine_counts.of[STUN_COUNT_DROP_OTHER], 1);
    assert_int_equal(machine_counts.of[STUN_COUNT_REQUESTS], 4);
    assert_int_equal(machine_counts.of[STUN_COUNT_ANSWERS], 0);
}

static void a_source_is_answered_so_many_times_a_second(void **state)
{
    struct frame f = asked(false, "::ffff:198.51.100.7", question, sizeof(question)),
                 other = asked(false, "::ffff:198.51.100.8", question, sizeof(question)),
                 near = asked(true, "2001:db8:5:6::1", question, sizeof(question));

    (void)state;
    machine_terms.prefix_rate = 2;
    assert_int_equal(run(&f), XDP_TX);
    assert_int_equal(run(&f), XDP_TX);
    assert_int_equal(run(&f), XDP_DROP);
    assert_int_equal(machine_counts.of[STUN_COUNT_DROP_RATE], 1);
    assert_int_equal(run(&other), XDP_TX);
    machine_now_ns += 1000000000;
    assert_int_equal(run(&f), XDP_TX);
    for (unsigned i = 0; i < 3; i++) { /* all of a /64 are one source */
        near.from[15]++;
        assert_int_equal(run(&near), i < 2 ? XDP_TX : XDP_DROP);
    }
    near.from[7]++;
    assert_int_equal(run(&near), XDP_TX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_answer_is_what_a_thread_would_say, set_up),
        cmocka_unit_test_setup(every_checksum_is_right, set_up),
        cmocka_unit_test_setup(senders_whom_the_kernel_judges_are_its_business, set_up),
        cmocka_unit_test_setup(what_goes_elsewhere_passes, set_up),
        cmocka_unit_test_setup(what_only_the_kernel_takes_apart_passes, set_up),
        cmocka_unit_test_setup(a_cut_frame_passes, set_up),
        cmocka_unit_test_setup(without_a_checksum_only_ipv4_is_answered, set_up),
        cmocka_unit_test_setup(what_nobody_answers_is_dropped_and_counted, set_up),
        cmocka_unit_test_setup(a_source_is_answered_so_many_times_a_second, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
