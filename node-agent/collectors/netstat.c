/* netstat.c - /proc/net/netstat, snmp and snmp6.
 *
 * The first two: pairs of lines "PROTOCOL: NAME ..." and "PROTOCOL: VALUE ..."; snmp6: "PROTOCOL6NAME VALUE".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/collector_flags.h"
#include "node-agent/collectors/table.h"
#include "node-agent/host_net.h"
#include "node-agent/pattern.h"
#include "node-agent/text.h"

enum { NAME_BYTES = 160 };

static const char default_fields[] =
    "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_("
    "Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|"
    "OutSegs|"
    "OutRsts|PassiveOpens|RetransSegs|CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|"
    "SndbufErrors))$";

struct netstat_state { /* all owned */
    struct procfile *netstat, *snmp, *snmp6;
    struct pattern *fields;
};

static void stop(void *ctx)
{
    struct netstat_state *state = ctx;
    procfile_free(state->netstat);
    procfile_free(state->snmp);
    procfile_free(state->snmp6);
    pattern_free(state->fields);
    free(state);
}

static int start(const struct agent_config *config, void **ret_state)
{
    struct netstat_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->netstat = host_net_file(config, "netstat");
    state->snmp = host_net_file(config, "snmp");
    state->snmp6 = host_net_file(config, "snmp6");
    int err = state->netstat && state->snmp && state->snmp6 ? 0 : -ENOMEM;
    if (err == 0)
        err = pattern_new(collector_flag(config, "netstat.fields", default_fields), &state->fields);
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

static int emit(const struct netstat_state *state, struct bytes protocol, struct bytes name,
                struct bytes field, struct metric_sink *sink)
{
    char full[NAME_BYTES], help[NAME_BYTES];
    static const char prefix[] = "node_netstat_";
    double value;
    int len = snprintf(full, sizeof full, "%s%.*s_%.*s", prefix, (int)protocol.len,
                       (const char *)protocol.ptr, (int)name.len, (const char *)name.ptr);
    if (len < 0 || (size_t)len >= sizeof full)
        return -EINVAL;
    if (!pattern_matches_again(state->fields, bytes_of_string(full + sizeof prefix - 1)))
        return 0;
    if (text_double(field, &value) < 0)
        return -EINVAL;
    snprintf(help, sizeof help, "Statistic %.*s%.*s.", (int)protocol.len, (const char *)protocol.ptr,
             (int)name.len, (const char *)name.ptr);
    collector_emit(sink, full, METRIC_UNTYPED, help, value);
    return 0;
}

static int parse_pair(const struct netstat_state *state, struct bytes names, struct bytes values,
                      struct metric_sink *sink)
{
    struct bytes protocol, name, value;
    int err = 0;
    if (!text_field(&names, &protocol) || !text_field(&values, &value))
        return -EINVAL;
    protocol.len -= text_ends(protocol, ":") ? 1 : 0;
    while (err == 0 && text_field(&names, &name))
        err = text_field(&values, &value) ? emit(state, protocol, name, value, sink) : -EINVAL;
    return err;
}

static int read_pairs(const struct netstat_state *state, struct procfile *file, struct metric_sink *sink)
{
    struct bytes text, names, values;
    int err = procfile_read(file, &text);
    while (err == 0 && text_line(&text, &names))
        err = text_line(&text, &values) ? parse_pair(state, names, values, sink) : -EINVAL;
    return err;
}

static int read_snmp6(const struct netstat_state *state, struct metric_sink *sink)
{
    struct bytes text, line, name, value;
    int err = procfile_read(state->snmp6, &text);
    if (err == -ENOENT) /* a kernel without IPv6 */
        return 0;
    while (err == 0 && text_line(&text, &line)) {
        if (!text_field(&line, &name) || !text_field(&line, &value))
            continue;
        const uint8_t *six = memchr(name.ptr, '6', name.len);
        size_t len = six ? (size_t)(six - name.ptr) + 1 : 0;
        if (six)
            err = emit(state, (struct bytes){name.ptr, len}, bytes_skip(name, len), value, sink);
    }
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    const struct netstat_state *state = ctx;
    int err = read_pairs(state, state->netstat, sink);
    if (err == 0)
        err = read_pairs(state, state->snmp, sink);
    return err == 0 ? read_snmp6(state, sink) : err;
}

static const char *const flags[] = {"netstat.fields=~", NULL};

const struct collector collector_netstat = {.name = "netstat",
                                            .enabled_by_default = true,
                                            .start = start,
                                            .update = update,
                                            .stop = stop,
                                            .flags = flags};
