/* wifi_nl80211.h - what the kernel says of wireless devices and their stations (Linux' uapi/linux/nl80211.h).
 * attributes are those of one message. Pure; any thread. */
#ifndef NODE_AGENT_COLLECTORS_WIFI_NL80211_H
#define NODE_AGENT_COLLECTORS_WIFI_NL80211_H

#include "base/bytes.h"

enum { WIFI_NAME_BYTES = 32, WIFI_MAC_BYTES = 6, WIFI_SSID_BYTES = 128 };

struct wifi_device {
    char name[WIFI_NAME_BYTES];
    uint32_t index;
    uint8_t mac[WIFI_MAC_BYTES];
    double mhz;
};

struct wifi_bss {
    uint8_t bssid[WIFI_MAC_BYTES];
    char ssid[WIFI_SSID_BYTES]; /* valid UTF-8 */
    int64_t status;             /* enum nl80211_bss_status */
};

enum wifi_number { /* seconds, bits a second, bytes, dBm, counts */
                   WIFI_CONNECTED,
                   WIFI_INACTIVE,
                   WIFI_RX_RATE,
                   WIFI_TX_RATE,
                   WIFI_RX_BYTES,
                   WIFI_TX_BYTES,
                   WIFI_SIGNAL,
                   WIFI_RETRIES,
                   WIFI_FAILED,
                   WIFI_LOSS,
                   WIFI_TX,
                   WIFI_RX,
                   WIFI_NUMBERS
};

struct wifi_station {
    uint8_t mac[WIFI_MAC_BYTES];
    double numbers[WIFI_NUMBERS];
};

/* wifi_nl80211_interface: of NL80211_CMD_NEW_INTERFACE. False: a device without a name, as some virtual ones.
 */
bool wifi_nl80211_interface(struct bytes attributes, struct wifi_device *ret_device);

/* wifi_nl80211_bss: of a scan's result. False: not the network that the device belongs to. */
bool wifi_nl80211_bss(struct bytes attributes, struct wifi_bss *ret_bss);

/* wifi_nl80211_station: of NL80211_CMD_NEW_STATION; 0 for what it does not say. */
void wifi_nl80211_station(struct bytes attributes, struct wifi_station *ret_station);

#endif
