/* ethtool.c - what the drivers of the network devices tell by ioctl SIOCETHTOOL (Linux'
 * uapi/linux/ethtool.h): link modes, driver, and counters of their own. */
#include <ctype.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/utf8.h"
#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/sysfs.h"
#include "node-agent/host/text.h"
#include "node-agent/pattern.h"
#include "node-agent/scrape/metric_name.h"

enum { MAX_STATS = 8192, NAME_BYTES = 128, WORD_BYTES = 128 };
static const double mbit_bytes = 1e6 / 8;

struct ethtool_state {
    const char *sysfs; /* borrowed from the config */
    struct pattern_filter devices;
    struct pattern *metrics; /* owned; NULL: all */
    int fd;                  /* -1: the devices that would be seen are not the host's */
};

struct stat_name {
    char key[NAME_BYTES], name[NAME_BYTES]; /* as the driver has it, made a name; the metric's */
    bool is_dropped;
};

static void stop(void *ctx)
{
    struct ethtool_state *state = ctx;
    pattern_filter_fini(&state->devices);
    pattern_free(state->metrics);
    if (state->fd >= 0)
        close(state->fd);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct ethtool_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->fd = -1;
    state->sysfs = config->host_metrics.path_sysfs;
    const char *metrics = collector_flag(config, "ethtool.metrics-include", ".*");
    int err =
        pattern_filter_init(&state->devices, config, "ethtool.device-include", "ethtool.device-exclude", "");
    if (err == 0 && strcmp(metrics, ".*") != 0)
        err = pattern_new(metrics, &state->metrics);
    if (err == 0 && host_net_is_own(config) &&
        (state->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
        err = -errno;
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static int ask(const struct ethtool_state *state, const char *device, void *request)
{
    struct ifreq ifreq = {.ifr_data = request};
    snprintf(ifreq.ifr_name, sizeof ifreq.ifr_name, "%s", device);
    return ioctl(state->fd, SIOCETHTOOL, &ifreq) < 0 ? -errno : 0;
}

/* ---- link modes ---- */

static void emit_capabilities(struct metric_sink *sink, const char *device, uint32_t modes, bool advertised)
{
    static const struct {
        unsigned bit;
        struct {
            const char *name, *help;
        } of[2]; /* supported, advertised */
    } rows[] = {
        {ETHTOOL_LINK_MODE_Autoneg_BIT,
         {{"node_network_autonegotiate_supported", "If this port device supports autonegotiate"},
          {"node_network_autonegotiate_advertised", "If this port device offers autonegotiate"}}},
        {ETHTOOL_LINK_MODE_Pause_BIT,
         {{"node_network_pause_supported", "If this port device supports pause frames"},
          {"node_network_pause_advertised", "If this port device offers pause capability"}}},
        {ETHTOOL_LINK_MODE_Asym_Pause_BIT,
         {{"node_network_asymmetricpause_supported", "If this port device supports asymmetric pause frames"},
          {"node_network_asymmetricpause_advertised",
           "If this port device offers asymmetric pause capability"}}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        COLLECTOR_SAMPLE(sink, rows[i].of[advertised].name, METRIC_GAUGE, rows[i].of[advertised].help,
                         modes >> rows[i].bit & 1, "device", device);
}

static void emit_ports(struct metric_sink *sink, const char *device, uint32_t modes)
{
    static const struct {
        unsigned bit;
        const char *type;
    } rows[] = {{ETHTOOL_LINK_MODE_TP_BIT, "TP"},   {ETHTOOL_LINK_MODE_AUI_BIT, "AUI"},
                {ETHTOOL_LINK_MODE_MII_BIT, "MII"}, {ETHTOOL_LINK_MODE_FIBRE_BIT, "FIBRE"},
                {ETHTOOL_LINK_MODE_BNC_BIT, "BNC"}, {ETHTOOL_LINK_MODE_Backplane_BIT, "Backplane"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (modes >> rows[i].bit & 1)
            COLLECTOR_SAMPLE(sink, "node_network_supported_port_info", METRIC_GAUGE,
                             "Type of ports or PHYs supported by network device", 1, "device", device, "type",
                             rows[i].type);
}

/* The request knows 32 modes. */
static void emit_speeds(struct metric_sink *sink, const char *device, uint32_t modes, bool advertised)
{
    static const struct {
        unsigned bit, mbit;
        const char *duplex, *phy;
    } rows[] = {
        {ETHTOOL_LINK_MODE_10baseT_Half_BIT, 10, "half", "T"},
        {ETHTOOL_LINK_MODE_10baseT_Full_BIT, 10, "full", "T"},
        {ETHTOOL_LINK_MODE_100baseT_Half_BIT, 100, "half", "T"},
        {ETHTOOL_LINK_MODE_100baseT_Full_BIT, 100, "full", "T"},
        {ETHTOOL_LINK_MODE_1000baseT_Half_BIT, 1000, "half", "T"},
        {ETHTOOL_LINK_MODE_1000baseT_Full_BIT, 1000, "full", "T"},
        {ETHTOOL_LINK_MODE_10000baseT_Full_BIT, 10000, "full", "T"},
        {ETHTOOL_LINK_MODE_1000baseKX_Full_BIT, 1000, "full", "KX"},
        {ETHTOOL_LINK_MODE_10000baseKX4_Full_BIT, 10000, "full", "KX4"},
        {ETHTOOL_LINK_MODE_10000baseKR_Full_BIT, 10000, "full", "KR"},
        {ETHTOOL_LINK_MODE_10000baseR_FEC_BIT, 10000, "full", "R_FEC"},
        {ETHTOOL_LINK_MODE_20000baseMLD2_Full_BIT, 20000, "full", "MLD2"},
        {ETHTOOL_LINK_MODE_20000baseKR2_Full_BIT, 20000, "full", "KR2"},
        {ETHTOOL_LINK_MODE_40000baseKR4_Full_BIT, 40000, "full", "KR4"},
        {ETHTOOL_LINK_MODE_40000baseCR4_Full_BIT, 40000, "full", "CR4"},
        {ETHTOOL_LINK_MODE_40000baseSR4_Full_BIT, 40000, "full", "SR4"},
        {ETHTOOL_LINK_MODE_40000baseLR4_Full_BIT, 40000, "full", "LR4"},
        {ETHTOOL_LINK_MODE_56000baseKR4_Full_BIT, 56000, "full", "KR4"},
        {ETHTOOL_LINK_MODE_56000baseCR4_Full_BIT, 56000, "full", "CR4"},
        {ETHTOOL_LINK_MODE_56000baseSR4_Full_BIT, 56000, "full", "SR4"},
        {ETHTOOL_LINK_MODE_56000baseLR4_Full_BIT, 56000, "full", "LR4"},
        {ETHTOOL_LINK_MODE_25000baseCR_Full_BIT, 25000, "full", "CR"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char mode[32];
        snprintf(mode, sizeof mode, "%ubase%s", rows[i].mbit, rows[i].phy);
        if (modes >> rows[i].bit & 1)
            COLLECTOR_SAMPLE(
                sink,
                advertised ? "node_network_advertised_speed_bytes" : "node_network_supported_speed_bytes",
                METRIC_GAUGE,
                advertised ? "Combination of speeds and features offered by network device"
                           : "Combination of speeds and features supported by network device",
                rows[i].mbit * mbit_bytes, "device", device, "duplex", rows[i].duplex, "mode", mode);
    }
}

static void emit_link(const struct ethtool_state *state, const char *device, struct metric_sink *sink)
{
    struct ethtool_cmd command = {.cmd = ETHTOOL_GSET};
    if (ask(state, device, &command) < 0)
        return;
    emit_speeds(sink, device, command.supported, false);
    emit_ports(sink, device, command.supported);
    emit_capabilities(sink, device, command.supported, false);
    emit_speeds(sink, device, command.advertising, true);
    emit_capabilities(sink, device, command.advertising, true);
    COLLECTOR_SAMPLE(sink, "node_network_autonegotiate", METRIC_GAUGE, "If this port is using autonegotiate",
                     command.autoneg, "device", device);
}

/* ---- the driver ---- */

static const char *put_word(const char *from, size_t size, char word[WORD_BYTES])
{
    struct buf valid;
    buf_init(&valid, 3 * size + 1);
    bool fine = utf8_put_valid((struct bytes){(const uint8_t *)from, strnlen(from, size)}, &valid) == 0;
    text_copy(fine ? buf_bytes(&valid) : (struct bytes){0}, word, WORD_BYTES);
    buf_fini(&valid);
    return word;
}

/* How many counters the driver has in ret_stats; 0 where it does not tell. */
static void emit_driver(const struct ethtool_state *state, const char *device, struct metric_sink *sink,
                        uint32_t *ret_stats)
{
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
    char bus[WORD_BYTES], driver[WORD_BYTES], erom[WORD_BYTES], firmware[WORD_BYTES], version[WORD_BYTES];
    *ret_stats = 0;
    if (ask(state, device, &info) < 0)
        return;
    *ret_stats = info.n_stats;
    COLLECTOR_SAMPLE(sink, "node_ethtool_info", METRIC_GAUGE,
                     "A metric with a constant '1' value labeled by bus_info, device, driver, "
                     "expansion_rom_version, firmware_version, version.",
                     1, "bus_info", put_word(info.bus_info, sizeof info.bus_info, bus), "device", device,
                     "driver", put_word(info.driver, sizeof info.driver, driver), "expansion_rom_version",
                     put_word(info.erom_version, sizeof info.erom_version, erom), "firmware_version",
                     put_word(info.fw_version, sizeof info.fw_version, firmware), "version",
                     put_word(info.version, sizeof info.version, version));
}

/* ---- its counters ---- */

static const struct {
    const char *key, *name, *help;
} known[] = {
    {"rx_bytes", "node_ethtool_received_bytes_total", "Network interface bytes received"},
    {"rx_dropped", "node_ethtool_received_dropped_total", "Number of received frames dropped"},
    {"rx_errors", "node_ethtool_received_errors_total", "Number of received frames with errors"},
    {"rx_packets", "node_ethtool_received_packets_total", "Network interface packets received"},
    {"tx_bytes", "node_ethtool_transmitted_bytes_total", "Network interface bytes sent"},
    {"tx_errors", "node_ethtool_transmitted_errors_total", "Number of sent frames with errors"},
    {"tx_packets", "node_ethtool_transmitted_packets_total", "Network interface packets sent"},
};

/* In small letters, without underscores in front, with the words rx and tx written out; the second of two
 * equal ones in a row stays, as node_exporter's expression leaves it. */
static void make_name(const char *key, char name[NAME_BYTES])
{
    struct buf out;
    char last = 0;
    buf_init(&out, NAME_BYTES - 1);
    int err = buf_append_string(&out, "node_ethtool_");
    key += strspn(key, "_");
    while (err == 0) {
        size_t len = strcspn(key, "_");
        char letter = (char)tolower((unsigned char)*key);
        bool is_word = len == 2 && (letter == 'r' || letter == 't') && (key[1] == 'x' || key[1] == 'X') &&
                       letter != last;
        last = is_word ? letter : 0;
        err = !is_word ? buf_append(&out, key, len)
                       : buf_append_string(&out, letter == 'r' ? "received" : "transmitted");
        key += len;
        if (!*key)
            break;
        if (err == 0)
            err = buf_append(&out, key++, 1);
    }
    text_copy(buf_bytes(&out), name, NAME_BYTES);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    buf_fini(&out);
}

/* Counters whose names would be the same are all left out. */
static void name_stats(const struct ethtool_state *state, const char *strings, uint32_t count,
                       struct stat_name *names)
{
    for (uint32_t i = 0; i < count; i++) {
        char word[ETH_GSTRING_LEN + 1];
        snprintf(word, sizeof word, "%.*s", ETH_GSTRING_LEN, strings + (size_t)i * ETH_GSTRING_LEN);
        metric_name_sanitize(word, names[i].key, sizeof names[i].key);
        make_name(names[i].key, names[i].name);
        names[i].is_dropped =
            state->metrics && !pattern_matches(state->metrics, bytes_of_string(names[i].key));
        for (uint32_t k = 0; k < i; k++)
            if (!names[i].is_dropped && strcmp(names[k].key, names[i].key) != 0 &&
                strcmp(names[k].name, names[i].name) == 0)
                names[k].is_dropped = names[i].is_dropped = true;
            else if (strcmp(names[k].key, names[i].key) == 0) /* the later one counts */
                names[k].is_dropped = true;
    }
}

static void emit_named(struct metric_sink *sink, const char *device, const struct stat_name *stat,
                       double value)
{
    char help[NAME_BYTES + 32];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].key, stat->key) == 0) {
            COLLECTOR_SAMPLE(sink, known[i].name, METRIC_UNTYPED, known[i].help, value, "device", device);
            return;
        }
    snprintf(help, sizeof help, "Network interface %s", stat->key);
    COLLECTOR_SAMPLE(sink, stat->name, METRIC_UNTYPED, help, value, "device", device);
}

static void emit_stats(const struct ethtool_state *state, const char *device, uint32_t count,
                       struct metric_sink *sink)
{
    if (count == 0 || count > MAX_STATS)
        return;
    struct ethtool_gstrings *strings = calloc(1, sizeof *strings + (size_t)count * ETH_GSTRING_LEN);
    struct ethtool_stats *stats = calloc(1, sizeof *stats + count * sizeof(uint64_t));
    struct stat_name *names = calloc(count, sizeof *names);
    if (strings && stats && names) {
        *strings =
            (struct ethtool_gstrings){.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_STATS, .len = count};
        *stats = (struct ethtool_stats){.cmd = ETHTOOL_GSTATS, .n_stats = count};
        if (ask(state, device, strings) == 0 && ask(state, device, stats) == 0) {
            name_stats(state, (const char *)strings->data, count, names);
            for (uint32_t i = 0; i < count && i < stats->n_stats; i++)
                if (!names[i].is_dropped)
                    emit_named(sink, device, &names[i], (double)stats->data[i]);
        }
    }
    free(names);
    free(stats);
    free(strings);
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct ethtool_state *state = ctx;
    struct sysfs_names names;
    if (state->fd < 0)
        return -EACCES;
    int err = sysfs_list(&names, "%s/class/net", state->sysfs);
    if (err < 0)
        return err == -ENOENT || err == -EACCES ? -ENODATA : err;
    err = names.count ? 0 : -ENODEV;
    for (size_t i = 0; i < names.count; i++) {
        const char *device = names.items[i];
        uint32_t stats;
        if (!sysfs_exists("%s/class/net/%s/ifindex", state->sysfs, device) ||
            !pattern_filter_passes(&state->devices, bytes_of_string(device)))
            continue;
        emit_link(state, device, sink);
        emit_driver(state, device, sink, &stats);
        emit_stats(state, device, stats, sink);
    }
    sysfs_names_fini(&names);
    return err;
}

static const char *const flags[] = {"ethtool.device-include=~", "ethtool.device-exclude=~",
                                    "ethtool.metrics-include=~", NULL};

const struct collector collector_ethtool = {
    .name = "ethtool", .start = start, .update = update, .stop = stop, .flags = flags};
