#include "gateway/ask/discarded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINE = 1024 };

static const struct family {
    const char *name;
    const char *reason; /* NULL: its label `reason` */
} families[] = {
    {"loki_discarded_samples_total", NULL},
    {"prometheus_tsdb_out_of_order_samples_total", "out_of_order"},
    {"prometheus_tsdb_out_of_bound_samples_total", "out_of_bound"},
    {"prometheus_tsdb_too_old_samples_total", "too_old"},
    {"prometheus_api_remote_write_invalid_labels_samples_total", "invalid_labels"},
};

static void add(struct discarded *d, const char *reason, uint64_t records)
{
    size_t i = 0;
    while (i < d->count && strcmp(d->reasons[i].reason, reason) != 0)
        i++;
    if (records == 0 || i == DISCARDED_MOST_REASONS)
        return;
    if (i == d->count)
        snprintf(d->reasons[d->count++].reason, DISCARDED_REASON, "%s", reason);
    d->reasons[i].records += records;
}

/* What of a name goes into a reason: nothing that would have to be quoted. */
static void copy_reason(const char *from, char reason[DISCARDED_REASON])
{
    size_t n = 0;
    for (; *from && *from != '"' && n + 1 < DISCARDED_REASON; from++) {
        bool is_plain = (*from >= 'a' && *from <= 'z') || (*from >= 'A' && *from <= 'Z') ||
                        (*from >= '0' && *from <= '9');
        reason[n++] = is_plain ? *from : '_';
    }
    reason[n] = '\0';
}

static void take_sample(struct discarded *d, const struct family *family, const char *line)
{
    char reason[DISCARDED_REASON] = "other";
    const char *rest = line + strlen(family->name), *labels_end = strrchr(rest, '}');
    const char *label = strstr(rest, "reason=\"");
    if (*rest != '{' && *rest != ' ')
        return;
    if (family->reason)
        snprintf(reason, sizeof reason, "%s", family->reason);
    else if (label)
        copy_reason(label + strlen("reason=\""), reason);
    double value = strtod(*rest == '{' ? (labels_end ? labels_end + 1 : "") : rest, NULL);
    if (value >= 1 && value < 1e18)
        add(d, reason, (uint64_t)value);
}

/* Whether line is the sample of a family without labels. */
static bool is_sample(const char *line, const char *name, double *ret_value)
{
    size_t len = strlen(name);
    if (strncmp(line, name, len) != 0 || line[len] != ' ')
        return false;
    *ret_value = strtod(line + len, NULL);
    return *ret_value > 0 && *ret_value < 1e18;
}

static void take_restart(struct discarded *d, const char *line)
{
    double value;
    if (is_sample(line, "process_start_time_seconds", &value) && value < 9e9)
        d->started_ns = (int64_t)(value * 1e9);
    if (is_sample(line, "loki_ingester_wal_duplicate_entries_total", &value))
        d->forgotten = (uint64_t)value;
    if (is_sample(line, "loki_ingester_wal_replay_active", &value))
        d->is_replaying = true;
}

static void take_line(struct discarded *d, struct bytes text)
{
    char line[MOST_LINE];
    if (text.len >= sizeof line || text.len == 0 || text.ptr[0] == '#')
        return;
    memcpy(line, text.ptr, text.len);
    line[text.len] = '\0';
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strncmp(line, families[i].name, strlen(families[i].name)) == 0)
            take_sample(d, &families[i], line);
    take_restart(d, line);
}

void discarded_read(struct bytes page, struct discarded *ret_discarded)
{
    *ret_discarded = (struct discarded){.is_known = true};
    while (page.len) {
        const uint8_t *newline = memchr(page.ptr, '\n', page.len);
        size_t len = newline ? (size_t)(newline - page.ptr) : page.len;
        take_line(ret_discarded, (struct bytes){page.ptr, len});
        page = bytes_skip(page, newline ? len + 1 : len);
    }
}

uint64_t discarded_sum(const struct discarded *discarded)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < discarded->count; i++)
        sum += discarded->reasons[i].records;
    return sum;
}
