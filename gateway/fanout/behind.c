#include "gateway/fanout/behind.h"

#include <errno.h>

#include "base/clock.h"
#include "base/pb.h"
#include "gateway/fanout/body.h"

enum { STREAM = 1, LABELS = 1, ENTRY = 2, ENTRY_TIME = 1, SECONDS = 1, NANOS = 2 }; /* push.proto of Loki */
#define AHEAD_NS (INT64_C(600) * 1000000000) /* no line is further ahead of the clock: ahead.h */

/* ---- the lines of a push */

struct line {
    uint64_t stream; /* its key; two of a push may have the same labels, */
    uint32_t number; /* and are two streams to Loki's answer all the same */
    int64_t time_ns;
};

typedef bool take_line(void *ctx, uint32_t index, struct line line); /* false: no more */

static int read_number(struct bytes message, uint32_t number, uint64_t *ret_value)
{
    struct pb_field field;
    int got;
    while ((got = pb_next(&message, &field)) > 0)
        if (field.number == number && field.type == PB_VARINT)
            *ret_value = field.value;
    return got;
}

static int read_time(struct bytes entry, int64_t *ret_ns)
{
    struct pb_field field;
    uint64_t seconds = 0, nanos = 0;
    int got;
    while ((got = pb_next(&entry, &field)) > 0) {
        if (field.number != ENTRY_TIME || field.type != PB_LEN)
            continue;
        if ((got = read_number(field.bytes, SECONDS, &seconds)) < 0 ||
            (got = read_number(field.bytes, NANOS, &nanos)) < 0)
            return got;
    }
    *ret_ns = (int64_t)(seconds * 1000000000u + nanos);
    return got;
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
    if (s->suspect == s->to && line.time_ns < safe_ns)
        s->suspect = index;
    if (s->suspect < s->to && s->suspect > s->from)
        return false;
    stream_times_post(s->times, line.stream, line.time_ns, s->now_ns);
    return true;
}

static bool is_looked_at(const struct lane *lane, const struct buffer_row *row)
{
    return lane->host->kind == BACKEND_LOKI && row->format == FORMAT_OTLP_LOGS;
}

static int64_t backend_wall_ns(const struct lane *lane)
{
    return clock_wall_ns() + lane->host->health->clock_ahead_ns;
}

/* The first row of the part that holds lines old enough; part.rows: none. */
static uint32_t find_old_row(const struct lane *lane, struct part part)
{
    int64_t before_ns = backend_wall_ns(lane) + AHEAD_NS - STREAM_TIMES_SPAN_NS;
    uint32_t i = 0;
    while (i < part.rows) {
        const struct buffer_row *row = &lane->rows[part.row + i];
        if (lane->fates[part.row + i] == ROW_LIVE && is_looked_at(lane, row) && row->earliest_ns < before_ns)
            break;
        i++;
    }
    return i;
}

/* Where a part of one row is to be cut: from: not at all. 0; -ENODATA: it cannot be told; -ENOMEM, -EIO. */
static int find_cut(struct lane *lane, struct part part, uint32_t *ret_at)
{
    struct bytes push;
    uint32_t to = part.to ? part.to : lane->halving.rows[part.row].records;
    struct search s = {.times = lane->host->stream_times,
                       .now_ns = clock_mono_ns(),
                       .wall_ns = backend_wall_ns(lane),
                       .from = part.from,
                       .to = to,
                       .suspect = to,
                       .end = part.from};
    int err = payload_raw(&lane->payload, &lane->rows[part.row], &push);
    if (err == 0)
        err = walk(push, look_at, &s);
    if (err < 0)
        return err == -ENOMEM || err == -EIO ? err : -ENODATA;
    uint32_t at = s.suspect == s.from ? s.end : s.suspect;
    *ret_at = at >= s.to ? s.from : at;
    return 0;
}

/* Of rows that hold nothing old. */
static void note_rows(struct lane *lane, struct part part)
{
    struct stream_times *times = lane->host->stream_times;
    int64_t now_ns = clock_mono_ns();
    for (uint32_t i = part.row; i < part.row + part.rows && stream_times_is_in_use(times, now_ns); i++) {
        struct search s = {
            .times = times, .now_ns = now_ns, .wall_ns = INT64_MIN + STREAM_TIMES_SPAN_NS, .to = UINT32_MAX};
        struct bytes push;
        s.suspect = s.to;
        if (lane->fates[i] == ROW_LIVE && is_looked_at(lane, &lane->rows[i]) &&
            payload_raw(&lane->payload, &lane->rows[i], &push) == 0)
            (void)walk(push, look_at, &s);
    }
}

/* Of a part of one row with something old in it. */
static int cut_row(struct lane *lane, struct part part)
{
    uint32_t at;
    size_t before = lane->halving.work_count;
    if (halving_must_count(&lane->halving)) {
        int err = body_count(lane, 0, bytes_of_string("it cannot be read"));
        if (err < 0 || lane->halving.work_count < before)
            return err;
    }
    int err = find_cut(lane, part, &at);
    if (err < 0 || at == part.from)
        return err < 0 && err != -ENODATA ? err : 1;
    return halving_split(&lane->halving, at);
}

int behind_cut(struct lane *lane, struct part part)
{
    uint32_t old = find_old_row(lane, part);
    if (old == part.rows) {
        note_rows(lane, part);
        return 1;
    }
    if (part.rows > 1)
        return halving_split(&lane->halving, old ? old : 1);
    return cut_row(lane, part);
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
    if (part.rows > 1 || find_old_row(lane, part) == part.rows ||
        payload_raw(&lane->payload, &lane->rows[part.row], &push) < 0)
        return;
    (void)walk(push, take_in, &t);
    if (t.is_alone)
        stream_times_take(lane->host->stream_times, t.first.stream, t.first.time_ns, t.latest_ns,
                          clock_mono_ns());
}
