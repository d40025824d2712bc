/* fibrechannel.c - /sys/class/fc_host. A counter that is all ones is not counted by the adapter. */
#include <errno.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/sysfs.h"

enum { WORD_BYTES = 256, INFOS = 10 };

static const struct {
    const char *file, *name, *help;
} rows[] = {
    {"dumped_frames", "node_fibrechannel_dumped_frames_total", "Number of dumped frames"},
    {"error_frames", "node_fibrechannel_error_frames_total", "Number of errors in frames"},
    {"invalid_crc_count", "node_fibrechannel_invalid_crc_total", "Invalid Cyclic Redundancy Check count"},
    {"rx_frames", "node_fibrechannel_rx_frames_total", "Number of frames received"},
    {"rx_words", "node_fibrechannel_rx_words_total", "Number of words received by host port"},
    {"tx_frames", "node_fibrechannel_tx_frames_total", "Number of frames transmitted by host port"},
    {"tx_words", "node_fibrechannel_tx_words_total", "Number of words transmitted by host port"},
    {"seconds_since_last_reset", "node_fibrechannel_seconds_since_last_reset_total",
     "Number of seconds since last host port reset"},
    {"invalid_tx_word_count", "node_fibrechannel_invalid_tx_words_total",
     "Number of invalid words transmitted by host port"},
    {"link_failure_count", "node_fibrechannel_link_failure_total",
     "Number of times the host port link has failed"},
    {"loss_of_sync_count", "node_fibrechannel_loss_of_sync_total",
     "Number of failures on either bit or transmission word boundaries"},
    {"loss_of_signal_count", "node_fibrechannel_loss_of_signal_total",
     "Number of times signal has been lost"},
    {"nos_count", "node_fibrechannel_nos_total",
     "Number Not_Operational Primitive Sequence received by host port"},
    {"fcp_packet_aborts", "node_fibrechannel_fcp_packet_aborts_total", "Number of aborted packets"},
};

static const struct {
    const char *label, *file;
    int skip; /* of the "0x" before it */
} infos[INFOS] = {
    {"speed", "speed", 0},
    {"port_state", "port_state", 0},
    {"port_type", "port_type", 0},
    {"port_id", "port_id", 2},
    {"port_name", "port_name", 2},
    {"fabric_name", "fabric_name", 2},
    {"symbolic_name", "symbolic_name", 0},
    {"supported_classes", "supported_classes", 0},
    {"supported_speeds", "supported_speeds", 0},
    {"dev_loss_tmo", "dev_loss_tmo", 0},
};

static int emit_info(const char *sysfs, const char *host, struct metric_sink *sink)
{
    char words[INFOS][WORD_BYTES];
    const char *labels[2 * INFOS + 3] = {"fc_host", host};
    for (int i = 0; i < INFOS; i++) {
        int err = sysfs_word(words[i], WORD_BYTES, "%s/class/fc_host/%s/%s", sysfs, host, infos[i].file);
        if (err < 0 && err != -ENOENT)
            return err;
        if (err < 0)
            words[i][0] = '\0';
        labels[2 * i + 2] = infos[i].label;
        labels[2 * i + 3] = words[i] + (strlen(words[i]) > 2 ? infos[i].skip : 0);
    }
    labels[2 * INFOS + 2] = NULL;
    sink->sample(sink, "node_fibrechannel_info", METRIC_GAUGE,
                 "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.", labels, 1);
    return 0;
}

static int update_host(const char *sysfs, const char *host, struct metric_sink *sink)
{
    int err = emit_info(sysfs, host, sink);
    for (size_t i = 0; i < sizeof rows / sizeof *rows && err == 0; i++) {
        uint64_t value;
        int found = sysfs_u64(&value, "%s/class/fc_host/%s/statistics/%s", sysfs, host, rows[i].file);
        if (found == 0 && value != UINT64_MAX)
            COLLECTOR_SAMPLE(sink, rows[i].name, METRIC_COUNTER, rows[i].help, (double)value, "fc_host",
                             host);
        else if (found < 0 && found != -ENOENT && found != -EOPNOTSUPP && found != -EINVAL)
            err = found;
    }
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct agent_config *config = ctx;
    const char *sysfs = config->host_metrics.path_sysfs;
    struct sysfs_names names;
    int err = sysfs_list(&names, "%s/class/fc_host", sysfs);
    if (err < 0)
        return err == -ENOENT ? -ENODATA : err;
    for (size_t i = 0; i < names.count && err == 0; i++)
        err = update_host(sysfs, names.items[i], sink);
    sysfs_names_fini(&names);
    return err;
}

const struct collector collector_fibrechannel = {.name = "fibrechannel",
                                                 .enabled_by_default = true,
                                                 .start = collector_start_with_config,
                                                 .update = update,
                                                 .stop = collector_stop_nothing,
                                                 .announced = true};
