#include "gateway/fanout/ahead.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "gateway/fanout/body.h"
#include "gateway/fanout/records.h"

static const char words[] =
    "more than ten minutes ahead of the backend's clock: it would drop this without a word";

struct span_of_times {
    int64_t earliest_ns, latest_ns;
    uint32_t index, from, to; /* records looked at so far; which ones count */
};

static void note(struct span_of_times *span, int64_t time_ns)
{
    uint32_t index = span->index++;
    if (index < span->from || index >= span->to)
        return;
    span->earliest_ns = time_ns < span->earliest_ns ? time_ns : span->earliest_ns;
    span->latest_ns = time_ns > span->latest_ns ? time_ns : span->latest_ns;
}

static int note_line(void *ctx, const struct record *record)
{
    note(ctx, record->time_ns);
    return 0;
}

static int note_samples(struct bytes raw, uint32_t count, struct span_of_times *span)
{
    struct split_sample *samples = calloc((size_t)count + 1, sizeof *samples);
    int err = samples ? split_samples(raw, samples, count) : -ENOMEM;
    for (uint32_t i = 0; err == 0 && i < count; i++)
        note(span, samples[i].time_ms * 1000000);
    free(samples);
    return err;
}

/* 0; -ENODATA: it cannot be told; -ENOMEM, -EIO. */
static int find_times(struct lane *lane, struct part part, struct span_of_times *ret_span)
{
    const struct buffer_row *row = &lane->rows[part.row];
    struct span_of_times span = {row->earliest_ns, row->latest_ns, 0, part.from, part.to};
    if (part.to) {
        struct bytes raw;
        uint32_t count = lane->halving.rows[part.row].records;
        enum batch_format format = payload_format(&lane->payload, row);
        int err = payload_raw(&lane->payload, row, &raw);
        span.earliest_ns = INT64_MAX;
        span.latest_ns = INT64_MIN;
        if (err == 0 && format == FORMAT_REMOTE_WRITE_1)
            err = note_samples(raw, count, &span);
        else if (err == 0 && format == FORMAT_LOKI_PUSH)
            err = records_each(format, raw, note_line, &span);
        if (err < 0 || span.latest_ns < span.earliest_ns)
            return err == -ENOMEM || err == -EIO ? err : -ENODATA;
    }
    *ret_span = span;
    return 0;
}

static bool is_about_time(const struct lane *lane)
{
    return lane->host->signal != TELEMETRY_TRACES;
}

static bool any_row_is_ahead(const struct lane *lane, struct part part, int64_t most_ns)
{
    for (uint32_t i = part.row; i < part.row + part.rows; i++)
        if (lane->fates[i] == ROW_LIVE && lane->rows[i].latest_ns > most_ns)
            return true;
    return false;
}

/* The part holds good records too: it is cut, as if it had been refused. */
static int cut(struct lane *lane)
{
    size_t before = lane->halving.work_count;
    if (halving_must_count(&lane->halving)) {
        int err = body_count(lane, 0, bytes_of_string(words));
        if (err < 0 || lane->halving.work_count < before)
            return err;
    }
    return halving_refuse(&lane->halving, 0, bytes_of_string(words));
}

int ahead_refuse(struct lane *lane, struct part part)
{
    int64_t most_ns = clock_wall_ns() + lane->host->health->clock_ahead_ns + AHEAD_MOST_NS;
    struct span_of_times span;
    if (!is_about_time(lane) || !any_row_is_ahead(lane, part, most_ns))
        return 1;
    if (part.rows > 1)
        return halving_refuse(&lane->halving, 0, bytes_of_string(words)); /* cuts between rows */
    int err = find_times(lane, part, &span);
    if (err == -ENODATA || (err == 0 && span.latest_ns <= most_ns))
        return 1;
    if (err < 0)
        return err;
    return span.earliest_ns > most_ns
               ? halving_settle(&lane->halving, PART_REFUSED, 0, bytes_of_string(words))
               : cut(lane);
}

bool ahead_has_one_time(struct lane *lane, struct part part)
{
    struct span_of_times span;
    return part.rows == 1 && lane->fates[part.row] == ROW_LIVE && find_times(lane, part, &span) == 0 &&
           span.earliest_ns == span.latest_ns;
}
