/* drbd.c - /proc/drbd of DRBD 8: words "NAME:VALUE"; "N:" begins the device drbdN. */
#include <errno.h>
#include <stdio.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/procfile.h"
#include "node-agent/host/text.h"

enum { KEY_BYTES = 32, DEVICE_BYTES = 32 };

static const struct {
    const char *key, *name, *help;
    enum metric_type type;
    double scale;
} numbers[] = {
    {"ns", "node_drbd_network_sent_bytes_total", "Total number of bytes sent via the network.",
     METRIC_COUNTER, 1024},
    {"nr", "node_drbd_network_received_bytes_total", "Total number of bytes received via the network.",
     METRIC_COUNTER, 1},
    {"dw", "node_drbd_disk_written_bytes_total", "Net data written on local hard disk; in bytes.",
     METRIC_COUNTER, 1024},
    {"dr", "node_drbd_disk_read_bytes_total", "Net data read from local hard disk; in bytes.", METRIC_COUNTER,
     1024},
    {"al", "node_drbd_activitylog_writes_total",
     "Number of updates of the activity log area of the meta data.", METRIC_COUNTER, 1},
    {"bm", "node_drbd_bitmap_writes_total", "Number of updates of the bitmap area of the meta data.",
     METRIC_COUNTER, 1},
    {"lo", "node_drbd_local_pending", "Number of open requests to the local I/O sub-system.", METRIC_GAUGE,
     1},
    {"pe", "node_drbd_remote_pending",
     "Number of requests sent to the peer, but that have not yet been answered by the latter.", METRIC_GAUGE,
     1},
    {"ua", "node_drbd_remote_unacknowledged",
     "Number of requests received by the peer via the network connection, but that have not yet been "
     "answered.",
     METRIC_GAUGE, 1},
    {"ap", "node_drbd_application_pending",
     "Number of block I/O requests forwarded to DRBD, but not yet answered by DRBD.", METRIC_GAUGE, 1},
    {"ep", "node_drbd_epochs", "Number of Epochs currently on the fly.", METRIC_GAUGE, 1},
    {"oos", "node_drbd_out_of_sync_bytes", "Amount of data known to be out of sync; in bytes.", METRIC_GAUGE,
     1024},
};

static const struct { /* "LOCAL/REMOTE" */
    const char *key, *name, *help, *good;
} pairs[] = {
    {"ro", "node_drbd_node_role_is_primary", "Whether the role of the node is in the primary state.",
     "Primary"},
    {"ds", "node_drbd_disk_state_is_up_to_date", "Whether the disk of the node is up to date.", "UpToDate"},
};

static int start(const struct agent_config *config, void **ret_state)
{
    *ret_state = procfile_new_long(config->host_metrics.path_procfs, "drbd");
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_free(state);
}

static void emit_pair(struct metric_sink *sink, const char *device, size_t row, struct bytes value)
{
    const uint8_t *slash = value.len ? memchr(value.ptr, '/', value.len) : NULL;
    if (!slash)
        return;
    size_t len = (size_t)(slash - value.ptr);
    COLLECTOR_SAMPLE(sink, pairs[row].name, METRIC_GAUGE, pairs[row].help,
                     text_is((struct bytes){value.ptr, len}, pairs[row].good), "device", device, "node",
                     "local");
    COLLECTOR_SAMPLE(sink, pairs[row].name, METRIC_GAUGE, pairs[row].help,
                     text_is(bytes_skip(value, len + 1), pairs[row].good), "device", device, "node",
                     "remote");
}

/* What it does not know is left out. 0, or -EINVAL where a number is none. */
static int emit_word(struct metric_sink *sink, const char *device, struct bytes key, struct bytes value)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double number;
        if (!text_is(key, numbers[i].key))
            continue;
        if (text_double(value, &number) < 0)
            return -EINVAL;
        COLLECTOR_SAMPLE(sink, numbers[i].name, numbers[i].type, numbers[i].help, number * numbers[i].scale,
                         "device", device);
    }
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (text_is(key, pairs[i].key))
            emit_pair(sink, device, i, value);
    if (text_is(key, "cs"))
        COLLECTOR_SAMPLE(sink, "node_drbd_connected", METRIC_GAUGE, "Whether DRBD is connected to the peer.",
                         text_is(value, "Connected"), "device", device);
    return 0;
}

static int update(void *state, struct metric_sink *sink)
{
    struct bytes text, line, word;
    char device[DEVICE_BYTES] = "unknown";
    int err = procfile_read(state, &text);
    while (err == 0 && text_line(&text, &line))
        while (err == 0 && text_field(&line, &word)) {
            const uint8_t *colon = memchr(word.ptr, ':', word.len);
            struct bytes key = {word.ptr, colon ? (size_t)(colon - word.ptr) : 0};
            struct bytes value = colon ? bytes_skip(word, key.len + 1) : word;
            uint64_t number;
            if (!colon || (value.len && memchr(value.ptr, ':', value.len)))
                continue;
            if (value.len == 0 && text_u64(key, &number) == 0)
                snprintf(device, sizeof device, "drbd%llu", (unsigned long long)number);
            else
                err = emit_word(sink, device, key, value);
        }
    return err == -ENOENT ? -ENODATA : err;
}

const struct collector collector_drbd = {.name = "drbd", .start = start, .update = update, .stop = stop};
