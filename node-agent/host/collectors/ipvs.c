/* ipvs.c - the kernel's load balancer: /proc/net/ip_vs_stats and ip_vs.
 *
 * ip_vs_stats: two lines of heads, then five hexadecimal totals. ip_vs: services "TCP ADDRESS:PORT ..." or
 * "FWM MARK ...", each followed by its backends "-> ADDRESS:PORT FORWARD WEIGHT ACTIVE INACTIVE"; addresses
 * and ports are hexadecimal, IPv6 in brackets. Backends that the chosen labels do not tell apart are summed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/text.h"

enum { LABELS = 6, VALUE_BYTES = 64, MAX_BACKENDS = 65536, TOTALS = 5, V4_LEN = 13, V6_LEN = 46 };
enum label { LOCAL_ADDRESS, LOCAL_PORT, REMOTE_ADDRESS, REMOTE_PORT, PROTO, LOCAL_MARK };
static const char *const label_names[LABELS] = {"local_address", "local_port", "remote_address",
                                                "remote_port",   "proto",      "local_mark"};

struct backend {
    char values[LABELS][VALUE_BYTES];
    uint64_t weight, active, inactive;
};

struct ipvs_state {
    struct procfile *stats, *table; /* owned */
    bool shown[LABELS];
    struct backend *backends; /* owned; of this update */
    size_t count;
};

static void stop(void *ctx)
{
    struct ipvs_state *state = ctx;
    procfile_free(state->stats);
    procfile_free(state->table);
    free(state->backends);
    free(state);
}

/* "local_address,proto": -EINVAL for a name that is none. */
static int choose_labels(struct ipvs_state *state, const char *list)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        bool known = len == 0;
        for (int i = 0; i < LABELS; i++)
            if (strlen(label_names[i]) == len && strncmp(list, label_names[i], len) == 0)
                known = state->shown[i] = true;
        if (!known)
            return -EINVAL;
        list += len + (list[len] == ',');
    }
    return 0;
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct ipvs_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->stats = host_net_file(config, "ip_vs_stats");
    state->table = host_net_file(config, "ip_vs");
    int err = state->stats && state->table ? 0 : -ENOMEM;
    if (err == 0)
        err = choose_labels(
            state, collector_flag(config, "ipvs.backend-labels",
                                  "local_address,local_port,remote_address,remote_port,proto,local_mark"));
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static int emit_totals(struct procfile *file, struct metric_sink *sink)
{
    static const char *const names[TOTALS][2] = {
        {"node_ipvs_connections_total", "The total number of connections made."},
        {"node_ipvs_incoming_packets_total", "The total number of incoming packets."},
        {"node_ipvs_outgoing_packets_total", "The total number of outgoing packets."},
        {"node_ipvs_incoming_bytes_total", "The total amount of incoming data."},
        {"node_ipvs_outgoing_bytes_total", "The total amount of outgoing data."},
    };
    struct bytes text, line = {0}, fields[TOTALS];
    uint64_t values[TOTALS];
    int err = procfile_read(file, &text);
    if (err < 0)
        return err;
    for (int i = 0; i < 3; i++)
        if (!text_line(&text, &line))
            return -EINVAL;
    if (text_fields(line, fields, TOTALS) < TOTALS)
        return -EINVAL;
    for (int i = 0; i < TOTALS; i++)
        if (text_hex(fields[i], &values[i]) < 0)
            return -EINVAL;
    for (int i = 0; i < TOTALS; i++)
        collector_emit(sink, names[i][0], METRIC_COUNTER, names[i][1], (double)values[i]);
    return 0;
}

/* "C0A80016:0CEA" or "[2620:...:0001]:0050". */
static int parse_endpoint(struct bytes field, char address[VALUE_BYTES], char port[VALUE_BYTES])
{
    uint64_t number;
    char text[VALUE_BYTES];
    if (field.len != V4_LEN && field.len != V6_LEN)
        return -EINVAL;
    if (text_hex(bytes_skip(field, field.len - 4), &number) < 0)
        return -EINVAL;
    snprintf(port, VALUE_BYTES, "%u", (unsigned)number);
    if (field.len == V4_LEN) {
        if (text_hex((struct bytes){field.ptr, 8}, &number) < 0)
            return -EINVAL;
        struct in_addr v4 = {htonl((uint32_t)number)};
        return inet_ntop(AF_INET, &v4, address, VALUE_BYTES) ? 0 : -EINVAL;
    }
    struct in6_addr v6;
    text_copy((struct bytes){field.ptr + 1, 39}, text, sizeof text);
    return inet_pton(AF_INET6, text, &v6) == 1 && inet_ntop(AF_INET6, &v6, address, VALUE_BYTES) ? 0
                                                                                                 : -EINVAL;
}

static int parse_service(struct backend *service, const struct bytes *fields)
{
    memset(service, 0, sizeof *service);
    text_copy(fields[0], service->values[PROTO], VALUE_BYTES);
    if (!text_is(fields[0], "FWM"))
        return parse_endpoint(fields[1], service->values[LOCAL_ADDRESS], service->values[LOCAL_PORT]);
    text_copy(fields[1], service->values[LOCAL_MARK], VALUE_BYTES);
    strcpy(service->values[LOCAL_PORT], "0");
    return 0;
}

static bool is_same(const struct ipvs_state *state, const struct backend *a, const struct backend *b)
{
    for (int i = 0; i < LABELS; i++)
        if (state->shown[i] && strcmp(a->values[i], b->values[i]) != 0)
            return false;
    return true;
}

static int add_backend(struct ipvs_state *state, const struct backend *backend)
{
    for (size_t i = 0; i < state->count; i++)
        if (is_same(state, &state->backends[i], backend)) {
            state->backends[i].weight += backend->weight;
            state->backends[i].active += backend->active;
            state->backends[i].inactive += backend->inactive;
            return 0;
        }
    if (state->count == MAX_BACKENDS)
        return -E2BIG;
    if (state->count % 32 == 0) {
        struct backend *backends = realloc(state->backends, (state->count + 32) * sizeof *backends);
        if (!backends)
            return -ENOMEM;
        state->backends = backends;
    }
    state->backends[state->count++] = *backend;
    return 0;
}

static int parse_line(struct ipvs_state *state, struct bytes line, struct backend *service)
{
    struct bytes fields[6];
    size_t count = text_fields(line, fields, 6);
    if (count < 2)
        return 0;
    if (text_is(fields[0], "TCP") || text_is(fields[0], "UDP") || text_is(fields[0], "FWM"))
        return parse_service(service, fields);
    if (!text_is(fields[0], "->") || count < 6 || text_is(fields[1], "RemoteAddress:Port"))
        return 0;
    struct backend backend = *service;
    if (parse_endpoint(fields[1], backend.values[REMOTE_ADDRESS], backend.values[REMOTE_PORT]) < 0 ||
        text_u64(fields[3], &backend.weight) < 0 || text_u64(fields[4], &backend.active) < 0 ||
        text_u64(fields[5], &backend.inactive) < 0)
        return -EINVAL;
    return add_backend(state, &backend);
}

static void emit_backend(const struct ipvs_state *state, const struct backend *backend,
                         struct metric_sink *sink)
{
    const char *labels[2 * LABELS + 1];
    int count = 0;
    for (int i = 0; i < LABELS; i++)
        if (state->shown[i]) {
            labels[count++] = label_names[i];
            labels[count++] = backend->values[i];
        }
    labels[count] = NULL;
    sink->sample(sink, "node_ipvs_backend_connections_active", METRIC_GAUGE,
                 "The current active connections by local and remote address.", labels,
                 (double)backend->active);
    sink->sample(sink, "node_ipvs_backend_connections_inactive", METRIC_GAUGE,
                 "The current inactive connections by local and remote address.", labels,
                 (double)backend->inactive);
    sink->sample(sink, "node_ipvs_backend_weight", METRIC_GAUGE,
                 "The current backend weight by local and remote address.", labels, (double)backend->weight);
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct ipvs_state *state = ctx;
    struct backend service = {.weight = 0};
    struct bytes text, line;
    int err = emit_totals(state->stats, sink);
    if (err < 0)
        return err == -ENOENT ? -ENODATA : err;
    state->count = 0;
    err = procfile_read(state->table, &text);
    while (err == 0 && text_line(&text, &line))
        err = parse_line(state, line, &service);
    for (size_t i = 0; i < state->count && err == 0; i++)
        emit_backend(state, &state->backends[i], sink);
    return err;
}

static const char *const flags[] = {"ipvs.backend-labels=", NULL};

const struct collector collector_ipvs = {.name = "ipvs",
                                         .enabled_by_default = true,
                                         .start = start,
                                         .update = update,
                                         .stop = stop,
                                         .announced = true,
                                         .flags = flags};
