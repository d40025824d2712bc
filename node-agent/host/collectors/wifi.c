/* wifi.c - wireless devices and their stations, asked over generic netlink (Linux' uapi/linux/nl80211.h); or,
 * with
 * --collector.wifi.fixtures, objects of JSON: interfaces.json, DEVICE/bss.json, DEVICE/stationinfo.json. */
#include <errno.h>
#include <linux/nl80211.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/collectors/wifi_nl80211.h"
#include "node-agent/host/genl.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"
#include "node-agent/logs/json_flat.h"

enum { MAX_DEVICES = 256, MAC_TEXT = 18, PATH_BYTES = 1024, FILE_BYTES = 65536 };

static const struct {
    const char *key, *name, *help; /* key: of the fixture */
    enum metric_type type;
    double scale; /* of the fixture's number */
} rows[WIFI_NUMBERS] = {
    {"connected", "node_wifi_station_connected_seconds_total",
     "The total number of seconds a station has been connected to an access point.", METRIC_COUNTER, 1e9},
    {"inactive", "node_wifi_station_inactive_seconds",
     "The number of seconds since any wireless activity has occurred on a station.", METRIC_GAUGE, 1e9},
    {"receivebitrate", "node_wifi_station_receive_bits_per_second",
     "The current WiFi receive bitrate of a station, in bits per second.", METRIC_GAUGE, 1},
    {"transmitbitrate", "node_wifi_station_transmit_bits_per_second",
     "The current WiFi transmit bitrate of a station, in bits per second.", METRIC_GAUGE, 1},
    {"receivedbytes", "node_wifi_station_receive_bytes_total",
     "The total number of bytes received by a WiFi station.", METRIC_COUNTER, 1},
    {"transmittedbytes", "node_wifi_station_transmit_bytes_total",
     "The total number of bytes transmitted by a WiFi station.", METRIC_COUNTER, 1},
    {"signal", "node_wifi_station_signal_dbm",
     "The current WiFi signal strength, in decibel-milliwatts (dBm).", METRIC_GAUGE, 1},
    {"transmitretries", "node_wifi_station_transmit_retries_total",
     "The total number of times a station has had to retry while sending a packet.", METRIC_COUNTER, 1},
    {"transmitfailed", "node_wifi_station_transmit_failed_total",
     "The total number of times a station has failed to send a packet.", METRIC_COUNTER, 1},
    {"beaconloss", "node_wifi_station_beacon_loss_total",
     "The total number of times a station has detected a beacon loss.", METRIC_COUNTER, 1},
    {"transmittedpackets", "node_wifi_station_transmitted_packets_total",
     "The total number of packets transmitted by a station.", METRIC_COUNTER, 1},
    {"receivedpackets", "node_wifi_station_received_packets_total",
     "The total number of packets received by a station.", METRIC_COUNTER, 1},
};
struct wifi_state {
    const char *fixtures;    /* borrowed from the config; "" without */
    struct netlink *netlink; /* owned; NULL: the devices that would be seen are not the host's */
    int family;
    struct wifi_device devices[MAX_DEVICES];
    size_t device_count;
    const struct wifi_device *device; /* the one being asked about */
    bool has_bss;
    struct metric_sink *sink;
};

static void stop(void *ctx)
{
    struct wifi_state *state = ctx;
    netlink_free(state->netlink);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct wifi_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    bool own = host_net_is_own(config);
    state->fixtures = collector_flag(config, "wifi.fixtures", "");
    state->netlink = own ? netlink_new(NETLINK_GENERIC) : NULL;
    if (own && !state->netlink) {
        stop(state);
        return -ENOMEM;
    }
    *ret_state = state;
    return 0;
}

/* ---- samples ---- */

static void put_mac(const uint8_t *mac, char text[MAC_TEXT])
{
    snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void emit_device(const struct wifi_state *state, const struct wifi_device *device)
{
    COLLECTOR_SAMPLE(state->sink, "node_wifi_interface_frequency_hertz", METRIC_GAUGE,
                     "The current frequency a WiFi interface is operating at, in hertz.", device->mhz * 1e6,
                     "device", device->name);
}

static void emit_bss(const struct wifi_state *state, const uint8_t *bssid, const char *ssid, int64_t status)
{
    char mac[MAC_TEXT];
    const char *mode = status == NL80211_BSS_STATUS_IBSS_JOINED ? "ad-hoc"
                       : status == NL80211_BSS_STATUS_AUTHENTICATED || status == NL80211_BSS_STATUS_ASSOCIATED
                           ? "client"
                           : "unknown";
    put_mac(bssid, mac);
    COLLECTOR_SAMPLE(state->sink, "node_wifi_station_info", METRIC_GAUGE,
                     "Labeled WiFi interface station information as provided by the operating system.", 1,
                     "device", state->device->name, "bssid", mac, "ssid", ssid, "mode", mode);
}

static void emit_station(const struct wifi_state *state, const uint8_t *mac, const double *numbers)
{
    char text[MAC_TEXT];
    put_mac(mac, text);
    for (int i = 0; i < WIFI_NUMBERS; i++)
        COLLECTOR_SAMPLE(state->sink, rows[i].name, rows[i].type, rows[i].help, numbers[i], "device",
                         state->device->name, "mac_address", text);
}

/* ---- the kernel ---- */

static int on_interface(void *ctx, struct bytes attributes)
{
    struct wifi_state *state = ctx;
    struct wifi_device device;
    if (wifi_nl80211_interface(attributes, &device) && state->device_count < MAX_DEVICES)
        state->devices[state->device_count++] = device;
    return 0;
}

static int on_bss(void *ctx, struct bytes attributes)
{
    struct wifi_state *state = ctx;
    struct wifi_bss bss;
    if (!state->has_bss && wifi_nl80211_bss(attributes, &bss)) {
        emit_bss(state, bss.bssid, bss.ssid, bss.status);
        state->has_bss = true;
    }
    return 0;
}

static int on_station(void *ctx, struct bytes attributes)
{
    struct wifi_station station;
    wifi_nl80211_station(attributes, &station);
    emit_station(ctx, station.mac, station.numbers);
    return 0;
}

static int ask_device(struct wifi_state *state, uint8_t command,
                      int (*fn)(void *ctx, struct bytes attributes))
{
    uint8_t attributes[64];
    size_t len = 0;
    genl_put(attributes, &len, NL80211_ATTR_IFINDEX, &state->device->index, sizeof state->device->index);
    genl_put(attributes, &len, NL80211_ATTR_MAC, state->device->mac, WIFI_MAC_BYTES);
    int err =
        genl_dump(state->netlink, state->family, command, 1, (struct bytes){attributes, len}, fn, state);
    return err == -EOPNOTSUPP || err == -ENOENT ? 0 : err; /* not of this kind of device */
}

static int ask_kernel(struct wifi_state *state)
{
    int err = genl_find(state->netlink, NL80211_GENL_NAME, &state->family);
    if (err < 0)
        return err == -ENOENT || err == -EPERM || err == -EACCES ? -ENODATA : err;
    state->device_count = 0;
    err = genl_dump(state->netlink, state->family, NL80211_CMD_GET_INTERFACE, 1, (struct bytes){0},
                    on_interface, state);
    for (size_t i = 0; i < state->device_count && err == 0; i++) {
        state->device = &state->devices[i];
        state->has_bss = false;
        emit_device(state, state->device);
        err = ask_device(state, NL80211_CMD_GET_SCAN, on_bss);
        if (err == 0)
            err = ask_device(state, NL80211_CMD_GET_STATION, on_station);
    }
    return err;
}

/* ---- the fixtures ---- */

/* Six bytes in base64 (RFC 4648). */
static void take_base64(struct bytes text, uint8_t mac[WIFI_MAC_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    for (size_t i = 0, n = 0; i < text.len && n < WIFI_MAC_BYTES; i++) {
        const char *digit = text.ptr[i] ? strchr(digits, text.ptr[i]) : NULL;
        bits = bits << 6 | (uint32_t)(digit ? digit - digits : 0);
        for (int shift = 16; i % 4 == 3 && shift >= 0 && n < WIFI_MAC_BYTES; shift -= 8)
            mac[n++] = (uint8_t)(bits >> shift);
    }
}

static double fixture_number(const struct json_flat *object, const char *key)
{
    double value = 0;
    text_double(json_flat_get(object, key), &value);
    return value;
}

static void fixture_interface(struct wifi_state *state, const struct json_flat *object)
{
    struct wifi_device device = {.mhz = fixture_number(object, "frequency")};
    text_copy(json_flat_get(object, "name"), device.name, sizeof device.name);
    if (*device.name && state->device_count < MAX_DEVICES)
        state->devices[state->device_count++] = device;
}

static void fixture_bss(struct wifi_state *state, const struct json_flat *object)
{
    uint8_t bssid[WIFI_MAC_BYTES] = {0};
    char ssid[WIFI_SSID_BYTES];
    take_base64(json_flat_get(object, "bssid"), bssid);
    text_copy(json_flat_get(object, "ssid"), ssid, sizeof ssid);
    emit_bss(state, bssid, ssid, (int64_t)fixture_number(object, "status"));
}

static void fixture_station(struct wifi_state *state, const struct json_flat *object)
{
    uint8_t mac[WIFI_MAC_BYTES] = {0};
    double numbers[WIFI_NUMBERS];
    take_base64(json_flat_get(object, "hardwareaddr"), mac);
    for (int i = 0; i < WIFI_NUMBERS; i++)
        numbers[i] = fixture_number(object, rows[i].key) / rows[i].scale;
    emit_station(state, mac, numbers);
}

static int read_fixture(struct wifi_state *state, const char *device, const char *file,
                        void (*fn)(struct wifi_state *state, const struct json_flat *object))
{
    char path[PATH_BYTES], storage[FILE_BYTES];
    struct json_flat object;
    snprintf(path, sizeof path, "%s/%s%s%s", state->fixtures, device, *device ? "/" : "", file);
    int err = procfile_read_word(path, storage, sizeof storage);
    if (err < 0)
        return err == -ENOENT && *device ? 0 : err;
    struct bytes text = bytes_of_string(storage);
    while ((err = json_flat_next(&text, &object)) > 0)
        fn(state, &object);
    return err;
}

static int read_fixtures(struct wifi_state *state)
{
    state->device_count = 0;
    int err = read_fixture(state, "", "interfaces.json", fixture_interface);
    for (size_t i = 0; i < state->device_count && err == 0; i++) {
        state->device = &state->devices[i];
        emit_device(state, state->device);
        err = read_fixture(state, state->device->name, "bss.json", fixture_bss);
        if (err == 0)
            err = read_fixture(state, state->device->name, "stationinfo.json", fixture_station);
    }
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct wifi_state *state = ctx;
    state->sink = sink;
    if (*state->fixtures)
        return read_fixtures(state);
    return state->netlink ? ask_kernel(state) : -EACCES;
}

static const char *const flags[] = {"wifi.fixtures=", NULL};

const struct collector collector_wifi = {
    .name = "wifi", .start = start, .update = update, .stop = stop, .flags = flags};
