/* netstat.c - /proc/net/netstat, snmp and snmp6.
 *
 * The first two: pairs of lines "PROTOCOL: NAME ..." and "PROTOCOL: VALUE ..."; snmp6: "PROTOCOL6NAME VALUE".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node-agent/host/collector_flags.h"
#include "node-agent/host/collectors/table.h"
#include "node-agent/host/host_net.h"
#include "node-agent/host/text.h"
#include "node-agent/pattern.h"

enum { MAX_COLUMNS = 4096, MAX_HEADERS = 16 };

static const char default_fields[] =
    "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_("
    "Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|"
    "OutSegs|"
    "OutRsts|PassiveOpens|RetransSegs|CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|"
    "SndbufErrors))$";

/* One name of a file, as it was when it was last looked at; on most reads it is the same. */
struct column {
    char *protocol, *key; /* owned; as the file has them; NULL: not looked at yet */
    char *name;           /* owned; of the metric; NULL: not wanted */
    char *help;           /* owned */
};

struct header { /* a line of names, as it was when it was last taken apart */
    char *line; /* owned */
    size_t len, columns;
};

struct column_set {       /* the columns of a file in their order */
    struct column *items; /* owned */
    size_t count;
    struct header headers[MAX_HEADERS]; /* the file's first ones */
};

struct netstat_state { /* all owned */
    struct procfile *netstat, *snmp, *snmp6;
    struct pattern *fields;
    struct column_set of_netstat, of_snmp, of_snmp6;
};

static void column_fini(struct column *column)
{
    free(column->protocol);
    free(column->key);
    free(column->name);
    free(column->help);
    *column = (struct column){0};
}

static void column_set_fini(struct column_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        column_fini(&set->items[i]);
    for (size_t i = 0; i < MAX_HEADERS; i++)
        free(set->headers[i].line);
    free(set->items);
}

static void stop(void *ctx)
{
    struct netstat_state *state = ctx;
    procfile_free(state->netstat);
    procfile_free(state->snmp);
    procfile_free(state->snmp6);
    pattern_free(state->fields);
    column_set_fini(&state->of_netstat);
    column_set_fini(&state->of_snmp);
    column_set_fini(&state->of_snmp6);
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
        state->netstat->one_record = state->snmp->one_record = state->snmp6->one_record = true;
    if (err == 0)
        err = pattern_new(collector_flag(config, "netstat.fields", default_fields), &state->fields);
    if (err < 0)
        stop(state);
    else
        *ret_state = state;
    return err;
}

/* Makes the column one of the protocol's, with its metric's name where it is wanted. */
static int look_at(const struct netstat_state *state, struct bytes protocol, struct bytes key,
                   struct column *column)
{
    static const char prefix[] = "node_netstat_";
    column_fini(column);
    column->protocol = strndup((const char *)protocol.ptr, protocol.len);
    column->key = strndup((const char *)key.ptr, key.len);
    if (!column->protocol || !column->key ||
        asprintf(&column->name, "%s%.*s_%.*s", prefix, (int)protocol.len, (const char *)protocol.ptr,
                 (int)key.len, (const char *)key.ptr) < 0)
        return column->name = NULL, -ENOMEM;
    if (!pattern_matches(state->fields, bytes_of_string(column->name + sizeof prefix - 1))) {
        free(column->name);
        column->name = NULL;
        return 0;
    }
    if (asprintf(&column->help, "Statistic %.*s%.*s.", (int)protocol.len, (const char *)protocol.ptr,
                 (int)key.len, (const char *)key.ptr) < 0)
        return column->help = NULL, -ENOMEM;
    return 0;
}

/* The set's column at that place, if it is still this one, else made anew. */
static int column_at(const struct netstat_state *state, struct column_set *set, size_t at,
                     struct bytes protocol, struct bytes key, const struct column **ret_column)
{
    if (at == set->count) {
        struct column *items = at < MAX_COLUMNS ? realloc(set->items, (at + 1) * sizeof *items) : NULL;
        if (!items)
            return at < MAX_COLUMNS ? -ENOMEM : -E2BIG;
        set->items = items;
        set->items[set->count++] = (struct column){0};
    }
    struct column *column = &set->items[at];
    *ret_column = column;
    if (column->protocol && column->key && text_is(key, column->key) && text_is(protocol, column->protocol))
        return 0;
    return look_at(state, protocol, key, column);
}

static int emit(const struct column *column, struct bytes field, struct metric_sink *sink)
{
    uint64_t number;
    double value;
    if (!column->name)
        return 0;
    if (text_u64(field, &number) == 0)
        value = (double)number;
    else if (text_double(field, &value) < 0)
        return -EINVAL;
    collector_emit(sink, column->name, METRIC_UNTYPED, column->help, value);
    return 0;
}

/* A line of names: its columns into the set from *at on; *at is behind the last then. */
static int parse_names(const struct netstat_state *state, struct column_set *set, struct bytes names,
                       size_t *at)
{
    struct bytes protocol, name;
    const struct column *column;
    if (!text_field(&names, &protocol))
        return -EINVAL;
    protocol.len -= text_ends(protocol, ":") ? 1 : 0;
    int err = 0;
    while (err == 0 && text_field(&names, &name))
        err = column_at(state, set, (*at)++, protocol, name, &column);
    return err;
}

/* How many columns the names have; they are taken apart where they are not those of the last read. */
static int count_columns(const struct netstat_state *state, struct column_set *set, size_t pair,
                         struct bytes names, size_t first, size_t *ret_count)
{
    struct header *header = pair < MAX_HEADERS ? &set->headers[pair] : NULL;
    if (header && header->line && header->len == names.len &&
        memcmp(header->line, names.ptr, names.len) == 0 && first + header->columns <= set->count) {
        *ret_count = header->columns;
        return 0;
    }
    size_t at = first;
    for (size_t i = pair; i < MAX_HEADERS; i++) { /* those behind it may stand elsewhere now */
        free(set->headers[i].line);
        set->headers[i].line = NULL;
    }
    int err = parse_names(state, set, names, &at);
    if (err < 0)
        return err;
    *ret_count = at - first;
    if (header && (header->line = strndup((const char *)names.ptr, names.len))) {
        header->len = names.len;
        header->columns = at - first;
    }
    return 0;
}

static int parse_values(const struct column *columns, size_t count, struct bytes values,
                        struct metric_sink *sink)
{
    struct bytes value;
    int err = text_field(&values, &value) ? 0 : -EINVAL; /* the protocol */
    for (size_t i = 0; i < count && err == 0; i++)
        err = text_field(&values, &value) ? emit(&columns[i], value, sink) : -EINVAL;
    return err;
}

static int read_pairs(const struct netstat_state *state, struct procfile *file, struct column_set *set,
                      struct metric_sink *sink)
{
    struct bytes text, names, values;
    size_t first = 0, count = 0;
    int err = procfile_read(file, &text);
    for (size_t pair = 0; err == 0 && text_line(&text, &names); pair++, first += count) {
        err = text_line(&text, &values) ? count_columns(state, set, pair, names, first, &count) : -EINVAL;
        if (err == 0)
            err = parse_values(set->items + first, count, values, sink);
    }
    return err;
}

static int read_snmp6(struct netstat_state *state, struct metric_sink *sink)
{
    struct bytes text, line, name, value;
    const struct column *column;
    size_t at = 0;
    int err = procfile_read(state->snmp6, &text);
    if (err == -ENOENT) /* a kernel without IPv6 */
        return 0;
    while (err == 0 && text_line(&text, &line)) {
        if (!text_field(&line, &name) || !text_field(&line, &value))
            continue;
        const uint8_t *six = memchr(name.ptr, '6', name.len);
        size_t len = six ? (size_t)(six - name.ptr) + 1 : 0;
        if (!six)
            continue;
        err = column_at(state, &state->of_snmp6, at++, (struct bytes){name.ptr, len}, bytes_skip(name, len),
                        &column);
        if (err == 0)
            err = emit(column, value, sink);
    }
    return err;
}

static int update(void *ctx, struct metric_sink *sink)
{
    struct netstat_state *state = ctx;
    int err = read_pairs(state, state->netstat, &state->of_netstat, sink);
    if (err == 0)
        err = read_pairs(state, state->snmp, &state->of_snmp, sink);
    return err == 0 ? read_snmp6(state, sink) : err;
}

static const char *const flags[] = {"netstat.fields=~", NULL};

const struct collector collector_netstat = {.name = "netstat",
                                            .enabled_by_default = true,
                                            .start = start,
                                            .update = update,
                                            .stop = stop,
                                            .flags = flags};
