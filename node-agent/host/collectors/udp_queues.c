/* udp_queues.c - /proc/net/udp and udp6: a socket a line; the fifth field is TX:RX bytes, hexadecimal. */
#include <errno.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/text.h"

enum { FIELDS = 5, QUEUES = 4 };
static const char *const files[] = {"udp", "udp6", NULL};
static const char *const versions[] = {"v4", "v6"};

static int start(const struct agent_config *config, void **ret_state)
{
    char folder[1024];
    *ret_state = procfile_set_new(host_net_folder(config, folder, sizeof folder), files);
    return *ret_state ? 0 : -ENOMEM;
}

static void stop(void *state)
{
    procfile_set_free(state);
}

static int add_line(struct bytes line, uint64_t *tx, uint64_t *rx)
{
    struct bytes fields[FIELDS];
    uint64_t sent, received;
    if (text_fields(line, fields, FIELDS) < FIELDS)
        return -EINVAL;
    struct bytes queues = fields[QUEUES];
    const uint8_t *colon = memchr(queues.ptr, ':', queues.len);
    size_t len = colon ? (size_t)(colon - queues.ptr) : 0;
    if (!colon || text_hex((struct bytes){queues.ptr, len}, &sent) < 0 ||
        text_hex(bytes_skip(queues, len + 1), &received) < 0)
        return -EINVAL;
    *tx += sent;
    *rx += received;
    return 0;
}

static void emit(struct metric_sink *sink, const char *queue, const char *version, uint64_t value)
{
    COLLECTOR_SAMPLE(sink, "node_udp_queues", METRIC_GAUGE,
                     "Number of allocated memory in the kernel for UDP datagrams in bytes.", (double)value,
                     "queue", queue, "ip", version);
}

static int update(void *state, struct metric_sink *sink)
{
    struct procfile **set = state;
    int found = 0;
    for (int i = 0; set[i]; i++) {
        struct bytes text, line;
        uint64_t tx = 0, rx = 0;
        int err = procfile_read(set[i], &text);
        if (err == -ENOENT)
            continue;
        bool names = err == 0 && text_line(&text, &line);
        while (err == 0 && names && text_line(&text, &line))
            err = add_line(line, &tx, &rx);
        if (err < 0)
            return err;
        emit(sink, "tx", versions[i], tx);
        emit(sink, "rx", versions[i], rx);
        found++;
    }
    return found ? 0 : -ENODATA;
}

const struct collector collector_udp_queues = {
    .name = "udp_queues", .enabled_by_default = true, .start = start, .update = update, .stop = stop};
