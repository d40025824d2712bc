#include "gateway/fanout/behind.h"

#include <errno.h>

#include "base/clock.h"
#include "base/pb.h"
#include "gateway/fanout/ahead.h"
#include "gateway/fanout/body.h"
#include "gateway/fanout/records.h"

enum { STREAM = 1, LABELS = 1, ENTRY = 2, ENTRY_TIME = 1 }; /* push.proto of Loki */

/* ---- the lines of a push */

struct line {
    uint64_t stream; /* its key; two of a push may have the same labels, */
    uint32_t number; /* and are two streams to Loki's answer all the same */
    int64_t time_ns;
};

typedef bool take_line(void *ctx, uint32_t index, struct line line); /* false: no more */

static int read_time(struct bytes entry, int64_t *ret_ns)
{
    struct pb_field field;
    int got, err = 0;
    *ret_ns = 0;
    while (err == 0 && (got = pb_next(&entry, &field)) > 0)
        if (field.number == ENTRY_TIME && field.type == PB_LEN)
            err = records_read_timestamp(field.bytes, ret_ns);
    return err < 0 ? err : got;
}

static uint64_t key_of(struct bytes stream)
{
    struct pb_field field;
    struct bytes labels = {0};
    while (pb_next(&stream, &field) > 0)
        if (field.number == LABELS && field.type == PB_LEN)
            labels = field.bytes;
    return stream_times_key(labels);
}

static int walk_stream(struct bytes stream, uint32_t number, uint32_t *index, take_line *take, void *ctx)
{
    struct line line = {.stream = key_of(stream), .number = number};
    struct pb_field field;
    int got;
    while ((got = pb_next(&stream, &field)) > 0) {
        if (field.number != ENTRY || field.type != PB_LEN)
            continue;
        got = read_time(field.bytes, &line.time_ns);
        if (got < 0)
            return got;
        if (!take(ctx, (*index)++, line))
            return 1;
    }
    return got;
}

static int walk(struct bytes push, take_line *take, void *ctx)
{
    struct pb_field field;
    uint32_t index = 0, number = 0;
    int got;
    while ((got = pb_next(&push, &field)) > 0) {
        if (field.number != STREAM || field.type != PB_LEN)
            continue;
        got = walk_stream(field.bytes, number++, &index, take, ctx);
        if (got != 0)
            return got < 0 ? got : 0;
    }
    return got;
}

/* ---- which lines may be too far behind */

struct search {
    struct stream_times *times;
    int64_t now_ns, wall_ns; /* monotonic; the backend's clock */
    uint32_t from, to;
    uint32_t suspect; /* the first one; to: none */
    uint32_t end;     /* of those behind `from` that are of its stream, */
    uint32_t number;  /* which is this one */
};

/* What is looked at is going to be posted, so that what comes behind it, in this request or in another that
 * is under way meanwhile, is compared with it. */
static bool look_at(void *ctx, uint32_t index, struct line line)
{
    struct search *s = ctx;
    if (index < s->from)
        return true;
    if (index == s->from)
        s->number = line.number;
    if (index >= s->to || (s->suspect == s->from && line.number != s->number))
        return false;
    if (s->end == index && line.number == s->number)
        s->end = index + 1;
    int64_t safe_ns =
        stream_times_safe_from(s->times, line.stream, s->now_ns, s->wall_ns - STREAM_TIMES_SPAN_NS);
    if (s->suspect == s->to && line.time_ns < safe_ns) {
        s->suspect = index;
        stream_times_use(s->times, s->now_ns);
    }
    if (s->suspect < s->to && s->suspect > s->from)
        return false;
    stream_times_post(s->times, line.stream, line.time_ns, s->now_ns);
    return true;
}

static int64_t backend_wall_ns(const struct lane *lane)
{
    return clock_wall_ns() + lane->host->health->clock_ahead_ns;
}

/* Whether it holds lines so old that they may be suspects. */
static bool is_old(const struct lane *lane, const struct buffer_row *row)
{
    return row->earliest_ns < backend_wall_ns(lane) + AHEAD_MOST_NS - STREAM_TIMES_SPAN_NS;
}

/* Agents send lines in their order, so theirs are behind only where another gateway has posted newer ones. */
static bool may_be_behind(const struct lane *lane, const struct buffer_row *row)
{
    return row->format == FORMAT_OTLP_LOGS ||
           (row->format == FORMAT_LOKI_PUSH && !homes_have(lane->host->homes, row));
}

static bool is_looked_at(const struct lane *lane, uint32_t row)
{
    const struct lane_host *host = lane->host;
    return lane->fates[row] == ROW_LIVE && host->kind == BACKEND_LOKI &&
           (is_old(lane, &lane->rows[row]) || stream_times_is_in_use(host->stream_times, clock_mono_ns())) &&
           may_be_behind(lane, &lane->rows[row]);
}

/* 0; -ENODATA: it cannot be told; -ENOMEM, -EIO. */
static int search(struct lane *lane, uint32_t row, uint32_t from, uint32_t to, struct search *ret_search)
{
    struct bytes push;
    *ret_search = (struct search){.times = lane->host->stream_times,
                                  .now_ns = clock_mono_ns(),
                                  .wall_ns = backend_wall_ns(lane),
                                  .from = from,
                                  .to = to,
                                  .suspect = to,
                                  .end = from};
    int err = payload_raw(&lane->payload, &lane->rows[row], &push);
    if (err == 0)
        err = walk(push, look_at, ret_search);
    return err == 0 || err == -ENOMEM || err == -EIO ? err : -ENODATA;
}

/* A row that holds a suspect goes by itself. */
static int cut_rows(struct lane *lane, struct part part)
{
    struct search found;
    for (uint32_t i = 0; i < part.rows; i++) {
        int err =
            is_looked_at(lane, part.row + i) ? search(lane, part.row + i, 0, UINT32_MAX, &found) : -ENODATA;
        if (err == -ENOMEM || err == -EIO)
            return err;
        if (err == 0 && found.suspect < found.to)
            return halving_split(&lane->halving, i ? i : 1);
    }
    return 1;
}

/* What comes before the first suspect is posted, then those of its stream that stand behind it, then the
 * rest. */
static int cut_row(struct lane *lane, struct part part)
{
    struct search found;
    size_t before = lane->halving.work_count;
    if (halving_must_count(&lane->halving)) {
        int err = body_count(lane, 0, bytes_of_string("it cannot be read"));
        if (err < 0 || lane->halving.work_count < before)
            return err;
    }
    uint32_t to = part.to ? part.to : lane->halving.rows[part.row].records;
    int err = search(lane, part.row, part.from, to, &found);
    uint32_t at = found.suspect == part.from ? found.end : found.suspect;
    if (err < 0 || at >= to)
        return err < 0 && err != -ENODATA ? err : 1;
    return halving_split(&lane->halving, at);
}

int behind_cut(struct lane *lane, struct part part)
{
    if (part.rows > 1)
        return cut_rows(lane, part);
    return is_looked_at(lane, part.row) ? cut_row(lane, part) : 1;
}

/* ---- what was taken */

struct taken {
    uint32_t from, to, number;
    struct line first; /* of its stream: the earliest time */
    int64_t latest_ns;
    bool is_alone;
};

static bool take_in(void *ctx, uint32_t index, struct line line)
{
    struct taken *t = ctx;
    if (index < t->from)
        return true;
    if (index >= t->to)
        return false;
    if (index == t->from) {
        *t = (struct taken){t->from, t->to, line.number, line, line.time_ns, true};
        return true;
    }
    t->is_alone = line.number == t->number;
    t->first.time_ns = line.time_ns < t->first.time_ns ? line.time_ns : t->first.time_ns;
    t->latest_ns = line.time_ns > t->latest_ns ? line.time_ns : t->latest_ns;
    return t->is_alone;
}

void behind_take(struct lane *lane, struct part part)
{
    struct taken t = {.from = part.from, .to = part.to ? part.to : UINT32_MAX};
    struct bytes push;
    if (part.rows > 1 || !is_looked_at(lane, part.row) || !is_old(lane, &lane->rows[part.row]) ||
        payload_raw(&lane->payload, &lane->rows[part.row], &push) < 0)
        return;
    (void)walk(push, take_in, &t);
    if (t.is_alone)
        stream_times_take(lane->host->stream_times, t.first.stream, t.first.time_ns, t.latest_ns,
                          clock_mono_ns());
}
