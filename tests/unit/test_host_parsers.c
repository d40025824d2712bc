/* The pure parts of collectors: SNTP's answers, JSON of fixtures, names of metrics, attributes of links. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "node-agent/collectors/ntp.h"
#include "node-agent/json_flat.h"
#include "node-agent/links.h"
#include "node-agent/metric_name.h"
#include "node-agent/text.h"
#include "tests/unit/unit.h"

/* ---- SNTP ---- */

static void put64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (56 - 8 * i));
}

#define SECONDS(n) ((uint64_t)(n) << 32)
enum { COOKIE = 99, NOW = 2208988800u + 1000 };

/* Asked at NOW, there half a second later, left a quarter after that, back at NOW + 1. */
static void make_packet(uint8_t packet[NTP_PACKET_BYTES])
{
    memset(packet, 0, NTP_PACKET_BYTES);
    packet[0] = 4 << 3 | 4;
    packet[1] = 2;
    packet[5] = 1; /* a root delay of one second */
    packet[9] = 0;
    packet[10] = 0x80; /* a dispersion of half a second */
    put64(packet + 16, SECONDS(NOW - 10));
    put64(packet + 24, COOKIE);
    put64(packet + 32, SECONDS(NOW) + (SECONDS(1) / 2));
    put64(packet + 40, SECONDS(NOW) + (SECONDS(1) / 4 * 3));
}

static void test_ntp_takes_offset_and_delay_from_four_times(void **state)
{
    (void)state;
    uint8_t packet[NTP_PACKET_BYTES];
    struct ntp_answer a;
    make_packet(packet);
    assert_int_equal(
        ntp_parse((struct bytes){packet, sizeof packet}, COOKIE, SECONDS(NOW), SECONDS(NOW + 1), &a), 0);
    assert_true(a.rtt == 0.75 && a.offset == 0.125 && a.root_delay == 1 && a.root_dispersion == 0.5);
    assert_true(a.reference == 990 && a.time == 1000.75 && a.stratum == 2 && a.leap == 0);
    assert_true(a.root_distance == (0.75 + 1) / 2 + 0.5 && a.min_error == 0);
    assert_true(ntp_is_valid(&a));
    a.leap = 3;
    assert_false(ntp_is_valid(&a));
}

static void test_ntp_refuses_what_is_no_answer(void **state)
{
    (void)state;
    uint8_t packet[NTP_PACKET_BYTES];
    struct ntp_answer a;
    make_packet(packet);
    struct bytes whole = {packet, sizeof packet};
    assert_int_equal(ntp_parse((struct bytes){packet, 47}, COOKIE, 0, 0, &a), -EBADMSG);
    assert_int_equal(ntp_parse(whole, COOKIE + 1, 0, 0, &a), -EBADMSG);
    packet[0] = 4 << 3 | 3;
    assert_int_equal(ntp_parse(whole, COOKIE, 0, 0, &a), -EBADMSG);
    double seconds;
    assert_int_equal(ntp_duration("3.5s", &seconds), 0);
    assert_true(seconds == 3.5);
    assert_int_equal(ntp_duration("1", &seconds), -EINVAL);
}

/* ---- JSON ---- */

static void test_json_takes_flat_objects(void **state)
{
    (void)state;
    struct json_flat object;
    struct bytes text = bytes_of_string(" [ {\"Name\": \"a b\",\n\"n\":-1.5e3 }, {} ]\n");
    assert_int_equal(json_flat_next(&text, &object), 1);
    assert_int_equal(object.count, 2);
    assert_true(text_is(json_flat_get(&object, "name"), "a b"));
    assert_true(text_is(json_flat_get(&object, "N"), "-1.5e3"));
    assert_int_equal(json_flat_get(&object, "other").len, 0);
    assert_int_equal(json_flat_next(&text, &object), 1);
    assert_int_equal(object.count, 0);
    assert_int_equal(json_flat_next(&text, &object), 0);
}

static void test_json_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    static const char *const texts[] = {"{", "{\"a\"}",    "{\"a\":}",   "{\"a\":[1]}", "{\"a\":\"\\u0041\"}",
                                        "x", "{\"a\":1,}", "{\"a\":\"b}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct json_flat object;
        struct bytes text = bytes_of_string(texts[i]);
        assert_int_equal(json_flat_next(&text, &object), -EINVAL);
    }
}

/* ---- names ---- */

static void test_names_have_one_underscore_for_what_is_none(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"rx_bytes", "rx_bytes"},
                                          {"rx bytes[0]", "rx_bytes_0_"},
                                          {"a_-_b", "a_b"},
                                          {"a__b", "a__b"},
                                          {"kernel.threads-max", "kernel_threads_max"},
                                          {"", ""}};
    char name[64];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(metric_name_sanitize(rows[i][0], name, sizeof name), rows[i][1]);
    assert_string_equal(metric_name_sanitize("abcdef", name, 4), "abc");
}

/* ---- links ---- */

static void test_links_survive_any_cut(void **state)
{
    (void)state;
    uint8_t message[64] = {0};
    const uint8_t name[] = {9, 0, 3, 0, 'e', 't', 'h', '0', 0, 0, 0, 0};
    const uint8_t mtu[] = {8, 0, 4, 0, 0xdc, 5, 0, 0};
    message[4] = 7; /* index */
    memcpy(message + 16, name, sizeof name);
    memcpy(message + 28, mtu, sizeof mtu);
    struct link link;
    assert_int_equal(link_parse((struct bytes){message, 36}, &link), 0);
    assert_string_equal(link.name, "eth0");
    assert_true(link.mtu == 1500 && link.index == 7 && link.below == 7 && !link.has_stats);
    for (size_t len = 0; len < 36; len++) {
        uint8_t *copy = malloc(len ? len : 1); /* so that a sanitizer sees what is read behind it */
        memcpy(copy, message, len);
        assert_int_equal(link_parse((struct bytes){copy, len}, &link), len < 16 ? -EBADMSG : 0);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ntp_takes_offset_and_delay_from_four_times),
        cmocka_unit_test(test_ntp_refuses_what_is_no_answer),
        cmocka_unit_test(test_json_takes_flat_objects),
        cmocka_unit_test(test_json_refuses_what_it_does_not_know),
        cmocka_unit_test(test_names_have_one_underscore_for_what_is_none),
        cmocka_unit_test(test_links_survive_any_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
