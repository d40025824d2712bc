#include "node-agent/host/collectors/wifi_nl80211.h"

#include <linux/nl80211.h>
#include <stdio.h>

#include "base/utf8.h"
#include "node-agent/host/netlink.h"
#include "node-agent/host/text.h"

static uint64_t number(struct bytes value)
{
    uint64_t n = 0;
    memcpy(&n, value.ptr, value.len < sizeof n ? value.len : sizeof n);
    return n;
}

static void take_mac(struct bytes value, uint8_t mac[WIFI_MAC_BYTES])
{
    memcpy(mac, value.ptr, value.len < WIFI_MAC_BYTES ? value.len : WIFI_MAC_BYTES);
}

bool wifi_nl80211_interface(struct bytes attributes, struct wifi_device *ret_device)
{
    struct wifi_device device = {.index = 0};
    struct bytes value;
    for (int type; netlink_attribute(&attributes, &type, &value);) {
        if (type == NL80211_ATTR_IFNAME)
            snprintf(device.name, sizeof device.name, "%.*s", (int)value.len, (const char *)value.ptr);
        else if (type == NL80211_ATTR_IFINDEX)
            device.index = (uint32_t)number(value);
        else if (type == NL80211_ATTR_MAC)
            take_mac(value, device.mac);
        else if (type == NL80211_ATTR_WIPHY_FREQ)
            device.mhz = (double)number(value);
    }
    *ret_device = device;
    return *device.name;
}

/* The network's name: the information element 0 of IEEE 802.11. */
static void take_ssid(struct bytes elements, char ssid[WIFI_SSID_BYTES])
{
    struct buf valid;
    while (elements.len >= 2 && elements.ptr[1] <= elements.len - 2) {
        struct bytes content = {elements.ptr + 2, elements.ptr[1]};
        if (elements.ptr[0] == 0) {
            buf_init(&valid, WIFI_SSID_BYTES);
            if (utf8_put_valid(content, &valid) == 0)
                text_copy(buf_bytes(&valid), ssid, WIFI_SSID_BYTES);
            buf_fini(&valid);
        }
        elements = bytes_skip(elements, content.len + 2);
    }
}

/* Only the network that the device belongs to has a status. */
static bool take_bss(struct bytes nested, struct wifi_bss *bss)
{
    struct bytes value;
    bool has_status = false;
    *bss = (struct wifi_bss){.status = 0};
    for (int type; netlink_attribute(&nested, &type, &value);) {
        if (type == NL80211_BSS_BSSID)
            take_mac(value, bss->bssid);
        else if (type == NL80211_BSS_INFORMATION_ELEMENTS)
            take_ssid(value, bss->ssid);
        else if (type == NL80211_BSS_STATUS)
            bss->status = (int64_t)number(value);
        has_status = has_status || type == NL80211_BSS_STATUS;
    }
    return has_status;
}

bool wifi_nl80211_bss(struct bytes attributes, struct wifi_bss *ret_bss)
{
    struct bytes nested;
    for (int type; netlink_attribute(&attributes, &type, &nested);)
        if (type == NL80211_ATTR_BSS && take_bss(nested, ret_bss))
            return true;
    return false;
}

/* In bits a second; the kernel says it in units of 100 kbit/s. */
static double take_rate(struct bytes nested)
{
    struct bytes value;
    uint64_t rate = 0, old_rate = 0;
    for (int type; netlink_attribute(&nested, &type, &value);) {
        if (type == NL80211_RATE_INFO_BITRATE32)
            rate = number(value);
        else if (type == NL80211_RATE_INFO_BITRATE)
            old_rate = number(value);
    }
    return (double)(rate ? rate : old_rate) * 100000;
}

static void take_station(struct bytes nested, double numbers[WIFI_NUMBERS])
{
    struct bytes value;
    bool has_rx64 = false, has_tx64 = false;
    for (int type; netlink_attribute(&nested, &type, &value);) {
        double n = (double)number(value);
        if (type == NL80211_STA_INFO_CONNECTED_TIME)
            numbers[WIFI_CONNECTED] = n;
        else if (type == NL80211_STA_INFO_INACTIVE_TIME)
            numbers[WIFI_INACTIVE] = n / 1000;
        else if (type == NL80211_STA_INFO_RX_BITRATE)
            numbers[WIFI_RX_RATE] = take_rate(value);
        else if (type == NL80211_STA_INFO_TX_BITRATE)
            numbers[WIFI_TX_RATE] = take_rate(value);
        else if (type == NL80211_STA_INFO_RX_BYTES64 || (type == NL80211_STA_INFO_RX_BYTES && !has_rx64))
            numbers[WIFI_RX_BYTES] = n;
        else if (type == NL80211_STA_INFO_TX_BYTES64 || (type == NL80211_STA_INFO_TX_BYTES && !has_tx64))
            numbers[WIFI_TX_BYTES] = n;
        else if (type == NL80211_STA_INFO_SIGNAL && value.len)
            numbers[WIFI_SIGNAL] = (int8_t)value.ptr[0];
        else if (type == NL80211_STA_INFO_TX_RETRIES)
            numbers[WIFI_RETRIES] = n;
        else if (type == NL80211_STA_INFO_TX_FAILED)
            numbers[WIFI_FAILED] = n;
        else if (type == NL80211_STA_INFO_BEACON_LOSS)
            numbers[WIFI_LOSS] = n;
        else if (type == NL80211_STA_INFO_TX_PACKETS)
            numbers[WIFI_TX] = n;
        else if (type == NL80211_STA_INFO_RX_PACKETS)
            numbers[WIFI_RX] = n;
        has_rx64 = has_rx64 || type == NL80211_STA_INFO_RX_BYTES64;
        has_tx64 = has_tx64 || type == NL80211_STA_INFO_TX_BYTES64;
    }
}

void wifi_nl80211_station(struct bytes attributes, struct wifi_station *ret_station)
{
    struct bytes value;
    *ret_station = (struct wifi_station){.numbers = {0}};
    for (int type; netlink_attribute(&attributes, &type, &value);) {
        if (type == NL80211_ATTR_MAC)
            take_mac(value, ret_station->mac);
        else if (type == NL80211_ATTR_STA_INFO)
            take_station(value, ret_station->numbers);
    }
}
