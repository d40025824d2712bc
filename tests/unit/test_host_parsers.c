/* The pure parts of collectors: SNTP's answers, JSON of fixtures, names of metrics, attributes of links. */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node-agent/host/collectors/netclass_rtnl.h"
#include "node-agent/host/collectors/netdev_addresses.h"
#include "node-agent/host/collectors/ntp.h"
#include "node-agent/host/collectors/wifi_nl80211.h"
#include "node-agent/host/links.h"
#include "node-agent/host/seen_set.h"
#include "node-agent/host/text.h"
#include "node-agent/logs/json_flat.h"
#include "node-agent/scrape/metric_name.h"
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

/* ---- nl80211 and ethtool ---- */

enum { NESTED = 0x8000 };

/* Appends an attribute; where its length is, for end_nested. */
static size_t put(uint8_t *message, size_t *len, uint16_t type, const void *content, size_t size)
{
    const uint16_t head[2] = {(uint16_t)(sizeof head + size), type};
    size_t at = *len;
    memcpy(message + at, head, sizeof head);
    if (size)
        memcpy(message + at + sizeof head, content, size);
    *len += (sizeof head + size + 3) / 4 * 4;
    return at;
}

static void end_nested(uint8_t *message, size_t at, size_t end)
{
    const uint16_t size = (uint16_t)(end - at);
    memcpy(message + at, &size, sizeof size);
}

static void test_wifi_takes_what_nl80211_says(void **state)
{
    (void)state;
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 7},
                         elements[] = {1, 1, 0x82, 0, 5, 'c', 'a', 'f', 0xe9, '!'};
    const uint32_t mhz = 5180, status = 1, seconds = 90, ms = 1500, rate = 8667, bytes = 5, index = 3;
    const uint64_t many = UINT64_C(10000000000);
    const int8_t signal = -61;
    uint8_t message[512] = {0};
    size_t len = 0, outer;
    struct wifi_device device;
    put(message, &len, 3 /* IFINDEX */, &index, sizeof index);
    assert_false(wifi_nl80211_interface((struct bytes){message, len}, &device)); /* no name */
    put(message, &len, 4 /* IFNAME */, "wlan0", 6);
    put(message, &len, 6 /* MAC */, mac, sizeof mac);
    put(message, &len, 38 /* WIPHY_FREQ */, &mhz, sizeof mhz);
    assert_true(wifi_nl80211_interface((struct bytes){message, len}, &device));
    assert_string_equal(device.name, "wlan0");
    assert_true(device.index == 3 && device.mhz == 5180 && memcmp(device.mac, mac, 6) == 0);

    struct wifi_bss bss;
    memset(message, 0, sizeof message);
    len = 0;
    outer = put(message, &len, 47 | NESTED /* BSS */, NULL, 0);
    put(message, &len, 1 /* BSSID */, mac, sizeof mac);
    put(message, &len, 6 /* INFORMATION_ELEMENTS */, elements, sizeof elements);
    end_nested(message, outer, len);
    assert_false(wifi_nl80211_bss((struct bytes){message, len}, &bss)); /* one that is only heard */
    put(message, &len, 9 /* STATUS */, &status, sizeof status);
    end_nested(message, outer, len);
    assert_true(wifi_nl80211_bss((struct bytes){message, len}, &bss));
    assert_string_equal(bss.ssid, "caf\xef\xbf\xbd!"); /* a byte that is no UTF-8 */
    assert_true(bss.status == 1 && memcmp(bss.bssid, mac, 6) == 0);

    struct wifi_station station;
    memset(message, 0, sizeof message);
    len = 0;
    put(message, &len, 6 /* MAC */, mac, sizeof mac);
    outer = put(message, &len, 21 | NESTED /* STA_INFO */, NULL, 0);
    put(message, &len, 16 /* CONNECTED_TIME */, &seconds, sizeof seconds);
    put(message, &len, 1 /* INACTIVE_TIME */, &ms, sizeof ms);
    put(message, &len, 7 /* SIGNAL */, &signal, sizeof signal);
    put(message, &len, 2 /* RX_BYTES */, &bytes, sizeof bytes);
    put(message, &len, 23 /* RX_BYTES64 */, &many, sizeof many);
    size_t inner = put(message, &len, 8 | NESTED /* TX_BITRATE */, NULL, 0);
    put(message, &len, 5 /* BITRATE32 */, &rate, sizeof rate);
    end_nested(message, inner, len);
    end_nested(message, outer, len);
    wifi_nl80211_station((struct bytes){message, len}, &station);
    const double *n = station.numbers;
    assert_true(n[WIFI_CONNECTED] == 90 && n[WIFI_INACTIVE] == 1.5 && n[WIFI_SIGNAL] == -61);
    assert_true(n[WIFI_RX_BYTES] == 1e10 && n[WIFI_TX_RATE] == 866700000 && n[WIFI_TX_BYTES] == 0);
    assert_memory_equal(station.mac, mac, sizeof mac);
}

static void test_link_modes_are_a_devices(void **state)
{
    (void)state;
    const uint32_t mbits = 1000, index = 2;
    const uint8_t full = 1;
    uint8_t message[128] = {0}, duplex;
    char name[LINK_NAME_BYTES];
    uint32_t got;
    size_t len = 0, outer = put(message, &len, 1 | NESTED, NULL, 0);
    put(message, &len, 1, &index, sizeof index);
    end_nested(message, outer, len);
    assert_false(netclass_rtnl_parse_modes((struct bytes){message, len}, name, &got, &duplex));
    put(message, &len, 2, "eth0", 5);
    end_nested(message, outer, len);
    put(message, &len, 5, &mbits, sizeof mbits);
    put(message, &len, 6, &full, sizeof full);
    assert_true(netclass_rtnl_parse_modes((struct bytes){message, len}, name, &got, &duplex));
    assert_string_equal(name, "eth0");
    assert_true(got == 1000 && duplex == 1);
}

static void test_addresses_have_scopes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *scope;
    } rows[] = {
        {"127.0.0.1", "link-local"},
        {"169.254.1.2", "link-local"},
        {"224.0.0.5", "link-local"},
        {"10.0.0.1", "global"},
        {"239.1.2.3", ""},
        {"255.255.255.255", ""},
        {"0.0.0.0", ""},
        {"::1", "link-local"},
        {"fe80::1", "link-local"},
        {"ff02::1", "link-local"},
        {"ff01::1", "interface-local"},
        {"ff0e::1", ""},
        {"fd00::2", "global"},
        {"2001:db8::1", "global"},
        {"::", ""},
        {"::ffff:10.0.0.1", "global"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t address[16];
        int family = strchr(rows[i].text, ':') ? AF_INET6 : AF_INET;
        assert_int_equal(inet_pton(family, rows[i].text, address), 1);
        assert_string_equal(netdev_addresses_scope(family, address), rows[i].scope);
    }
}

static void test_what_was_seen_is_known_until_it_is_cleared(void **state)
{
    (void)state;
    struct seen_set set = {0};
    char word[16];
    const char *const words[] = {"a", word, NULL}, *const joined[] = {"a0", "", NULL};
    for (int round = 0; round < 3; round++) {
        for (int again = 0; again < 2; again++)
            for (int i = 0; i < 500; i++) {
                snprintf(word, sizeof word, "%d", i);
                assert_int_equal(seen_set_add(&set, words, 501), again);
            }
        assert_int_equal(seen_set_add(&set, joined, 501), 0); /* the words' borders count */
        snprintf(word, sizeof word, "one more");
        assert_int_equal(seen_set_add(&set, words, 501), -E2BIG);
        seen_set_clear(&set);
    }
    seen_set_fini(&set);
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
        cmocka_unit_test(test_wifi_takes_what_nl80211_says),
        cmocka_unit_test(test_link_modes_are_a_devices),
        cmocka_unit_test(test_addresses_have_scopes),
        cmocka_unit_test(test_what_was_seen_is_known_until_it_is_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
