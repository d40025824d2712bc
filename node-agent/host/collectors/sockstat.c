/* sockstat.c - /proc/net/sockstat and sockstat6: "PROTOCOL: KEY VALUE ...". */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/text.h"

enum { KEYS = 6, INUSE = 0, MEM = 4, NAME_BYTES = 128 };
static const char *const keys[KEYS] = {"inuse", "orphan", "tw", "alloc", "mem", "memory"};
static const char *const files[] = {"sockstat", "sockstat6", NULL};

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

static void emit(struct metric_sink *sink, struct bytes protocol, const char *key, double value)
{
    char name[NAME_BYTES], help[NAME_BYTES];
    int len = (int)(protocol.len < 32 ? protocol.len : 32);
    snprintf(name, sizeof name, "node_sockstat_%.*s_%s", len, (const char *)protocol.ptr, key);
    snprintf(help, sizeof help, "Number of %.*s sockets in state %s.", len, (const char *)protocol.ptr, key);
    collector_emit(sink, name, METRIC_GAUGE, help, value);
}

static void emit_protocol(struct metric_sink *sink, struct bytes protocol, const uint64_t values[KEYS],
                          const bool given[KEYS])
{
    for (int i = 0; i < KEYS; i++)
        if (given[i] || i == INUSE)
            emit(sink, protocol, keys[i], (double)values[i]);
    if (given[MEM])
        emit(sink, protocol, "mem_bytes", (double)values[MEM] * (double)sysconf(_SC_PAGESIZE));
}

static int parse_line(struct bytes line, bool is_v6, struct metric_sink *sink)
{
    struct bytes protocol, key, field;
    uint64_t values[KEYS] = {0}, value;
    bool given[KEYS] = {false};
    if (!text_field(&line, &protocol))
        return -EINVAL;
    protocol.len -= text_ends(protocol, ":") ? 1 : 0;
    bool sockets = text_is(protocol, "sockets");
    while (text_field(&line, &key)) {
        if (!text_field(&line, &field) || text_u64(field, &value) < 0)
            return -EINVAL;
        if (sockets && !is_v6 && text_is(key, "used"))
            collector_emit(sink, "node_sockstat_sockets_used", METRIC_GAUGE, "Number of IPv4 sockets in use.",
                           (double)value);
        for (int i = 0; i < KEYS; i++)
            if (text_is(key, keys[i])) {
                values[i] = value;
                given[i] = true;
            }
    }
    if (!sockets)
        emit_protocol(sink, protocol, values, given);
    return 0;
}

static int update(void *state, struct metric_sink *sink)
{
    struct procfile **set = state;
    for (int i = 0; set[i]; i++) {
        struct bytes text, line;
        int err = procfile_read(set[i], &text);
        if (err == -ENOENT)
            continue;
        while (err == 0 && text_line(&text, &line))
            err = parse_line(line, i == 1, sink);
        if (err < 0)
            return err;
    }
    return 0;
}

const struct collector collector_sockstat = {
    .name = "sockstat", .enabled_by_default = true, .start = start, .update = update, .stop = stop};
