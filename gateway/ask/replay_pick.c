#include "gateway/ask/replay_pick.h"

#include <errno.h>
#include <stdlib.h>

#include "base/pb.h"
#include "gateway/fanout/split.h"

/* Times of 0 say that the sender did not know them. */
static bool has_times(const struct buffer_row *row)
{
    return row->latest_ns != 0;
}

bool replay_pick_none(const struct replay_ask *ask, const struct buffer_row *row)
{
    return has_times(row) && (row->latest_ns < ask->from_ns || row->earliest_ns > ask->to_ns);
}

bool replay_pick_all(const struct replay_ask *ask, const struct buffer_row *row)
{
    return has_times(row) && ask->match_count == 0 && row->earliest_ns >= ask->from_ns &&
           row->latest_ns <= ask->to_ns && row->earliest_ns >= ask->refused_before_ns &&
           row->earliest_ns >= ask->doubtful_before_ns;
}

/* ---- records */

struct picking {
    const struct replay_ask *ask;
    struct replay_picked *picked;
};

static bool is_asked(const struct replay_ask *ask, const struct record *record)
{
    if (record->time_ns < ask->from_ns || record->time_ns > ask->to_ns)
        return false;
    for (size_t i = 0; i < ask->match_count; i++) {
        struct bytes value = record_find(record, ask->matches[i].name);
        if (!value.ptr || !bytes_equal(value, ask->matches[i].value))
            return false;
    }
    return true;
}

static int take(struct replay_picked *picked, uint32_t record)
{
    picked->taken++;
    if (picked->run_count && picked->runs[picked->run_count - 1].to == record) {
        picked->runs[picked->run_count - 1].to++;
        return 0;
    }
    if (picked->run_count == picked->room) {
        size_t room = picked->room ? picked->room * 2 : 16;
        struct replay_run *grown = realloc(picked->runs, room * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        picked->runs = grown;
        picked->room = room;
    }
    picked->runs[picked->run_count++] = (struct replay_run){record, record + 1};
    return 0;
}

static int look(void *ctx, const struct record *record)
{
    struct picking *picking = ctx;
    struct replay_picked *picked = picking->picked;
    uint32_t number = picked->count++;
    if (!is_asked(picking->ask, record))
        return 0;
    if (record->time_ns < picking->ask->refused_before_ns) {
        picked->left_out++;
        return 0;
    }
    bool is_doubtful = record->time_ns < picking->ask->doubtful_before_ns;
    picked->doubtful += is_doubtful;
    picked->histograms += !is_doubtful && record->kind == RECORD_HISTOGRAM &&
                          record->time_ns < picking->ask->histograms_before_ns;
    return take(picked, number);
}

int replay_pick(const struct replay_ask *ask, enum batch_format format, struct bytes raw,
                struct replay_picked *ret_picked)
{
    struct replay_picked picked = {0};
    struct picking picking = {ask, &picked};
    uint32_t count = 0;
    int err = records_each(format, raw, look, &picking);
    if (err == 0)
        err = split_count(format, raw, &count);
    if (err == 0 && count != picked.count)
        err = -EBADMSG;
    if (err < 0) {
        replay_picked_fini(&picked);
        return err;
    }
    *ret_picked = picked;
    return 0;
}

void replay_picked_fini(struct replay_picked *picked)
{
    free(picked->runs);
    *picked = (struct replay_picked){0};
}

int replay_pick_write(const struct replay_picked *picked, enum batch_format format, struct bytes raw,
                      struct buf *out)
{
    if (picked->taken == picked->count)
        return buf_append(out, raw.ptr, raw.len);
    int err = 0;
    for (size_t i = 0; err == 0 && i < picked->run_count; i++)
        err = split_write(format, raw, picked->count, picked->runs[i].from, picked->runs[i].to, out);
    return err;
}

/* ---- streams */

/* Field numbers: PushRequest.streams; StreamAdapter.labels, .entries. */
enum { STREAMS = 1, LABELS = 1, ENTRIES = 2 };

static struct bytes find_labels(struct bytes stream)
{
    struct pb_field field;
    while (pb_next(&stream, &field) > 0)
        if (field.number == LABELS && field.type == PB_LEN)
            return field.bytes;
    return (struct bytes){0};
}

static uint64_t hash_of(struct bytes labels)
{
    uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a 64 */
    for (size_t i = 0; i < labels.len; i++)
        hash = (hash ^ labels.ptr[i]) * 0x100000001b3ULL;
    return hash;
}

static int compare(const void *a, const void *b)
{
    const struct replay_stream *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static int count_streams(struct bytes raw, size_t *ret_count)
{
    struct pb_field field;
    int got;
    *ret_count = 0;
    while ((got = pb_next(&raw, &field)) > 0)
        *ret_count += field.number == STREAMS && field.type == PB_LEN;
    return got;
}

int replay_streams(struct bytes raw, struct replay_stream **ret_streams, size_t *ret_count)
{
    struct pb_field field;
    size_t count, n = 0;
    int err = count_streams(raw, &count);
    if (err < 0)
        return err;
    struct replay_stream *streams = calloc(count ? count : 1, sizeof *streams);
    if (!streams)
        return -ENOMEM;
    while (pb_next(&raw, &field) > 0)
        if (field.number == STREAMS && field.type == PB_LEN) {
            struct bytes labels = find_labels(field.bytes);
            streams[n] = (struct replay_stream){hash_of(labels), (uint32_t)n, labels, field.bytes};
            n++;
        }
    qsort(streams, count, sizeof *streams, compare);
    *ret_streams = streams;
    *ret_count = count;
    return 0;
}

size_t replay_streams_same(const struct replay_stream *streams, size_t count)
{
    size_t same = 1;
    while (same < count && bytes_equal(streams[same].labels, streams[0].labels))
        same++;
    return same;
}

static int add_lines(struct bytes stream, struct buf *out)
{
    struct pb_field field;
    int err = 0;
    while (err == 0 && pb_next(&stream, &field) > 0)
        if (field.number == ENTRIES && field.type == PB_LEN)
            err = buf_append(out, field.whole.ptr, field.whole.len);
    return err;
}

int replay_streams_write(const struct replay_stream *streams, size_t count, struct buf *out)
{
    struct buf body;
    buf_init(&body, out->max);
    int err = pb_put_bytes(&body, LABELS, streams[0].labels);
    for (size_t i = 0; err == 0 && i < count; i++)
        err = add_lines(streams[i].body, &body);
    buf_clear(out);
    if (err == 0)
        err = pb_put_bytes(out, STREAMS, buf_bytes(&body));
    buf_fini(&body);
    return err;
}
