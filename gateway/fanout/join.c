#include "gateway/fanout/join.h"

#include <errno.h>

#include "base/pb.h"
#include "base/snap.h"

void join_init(struct join *join, size_t max)
{
    *join = (struct join){0};
    buf_init(&join->buf, max);
}

void join_fini(struct join *join)
{
    buf_fini(&join->buf);
    *join = (struct join){0};
}

void join_clear(struct join *join, size_t keep)
{
    buf_release(&join->buf, keep);
    join->raw_bytes = 0;
}

struct buf *join_begin_row(struct join *join, uint64_t raw_bytes)
{
    static const uint8_t head[JOIN_HEAD];
    size_t size = pb_varint_size(raw_bytes);
    if (join->buf.len == 0 && buf_append(&join->buf, head, sizeof head) < 0)
        return NULL;
    join->covered = size < JOIN_HEAD ? size : JOIN_HEAD;
    join->mark = join->buf.len - join->covered;
    memcpy(join->over, join->buf.ptr + join->mark, join->covered);
    join->buf.len = join->mark;
    return &join->buf;
}

static void uncover(struct join *join)
{
    memcpy(join->buf.ptr + join->mark, join->over, join->covered);
}

void join_drop_row(struct join *join)
{
    uncover(join);
    join->buf.len = join->mark + join->covered;
}

/* The block's size varint is not as long as announced: the body moves to where it has to begin. */
static int move_body(struct join *join, size_t begin, size_t end)
{
    size_t len = join->buf.len - begin;
    int err = end > begin ? buf_reserve(&join->buf, end - begin) : 0;
    if (err < 0)
        return err;
    memmove(join->buf.ptr + end, join->buf.ptr + begin, len);
    join->buf.len = end + len;
    return 0;
}

int join_end_row(struct join *join)
{
    struct bytes block = bytes_skip(buf_bytes(&join->buf), join->mark), body;
    size_t raw_size;
    int err = snap_body(block, &body, &raw_size);
    if (err == 0 && join->raw_bytes + raw_size > UINT32_MAX)
        err = -EMSGSIZE;
    size_t begin = err < 0 ? 0 : join->mark + (block.len - body.len), end = join->mark + join->covered;
    if (err == 0 && begin != end)
        err = move_body(join, begin, end);
    if (err < 0) {
        join_drop_row(join);
        return err;
    }
    uncover(join);
    join->raw_bytes += raw_size;
    return 0;
}

struct bytes join_seal(struct join *join)
{
    size_t size = pb_varint_size(join->raw_bytes);
    if (join->buf.len <= JOIN_HEAD)
        return (struct bytes){0};
    uint8_t *begin = join->buf.ptr + JOIN_HEAD - size;
    pb_write_varint(begin, join->raw_bytes);
    return (struct bytes){begin, (size_t)(join->buf.ptr + join->buf.len - begin)};
}

/* Samples that go back in time behind others of one request are lost without a word. */
static bool goes_forward(const struct buffer_row *rows, size_t count, const struct buffer_row *row)
{
    for (size_t i = 0; i < count; i++) {
        bool may_clash = rows[i].latest_ns > row->earliest_ns || row->format == FORMAT_OTLP_METRICS;
        if (rows[i].slot == row->slot && may_clash && strcmp(rows[i].origin, row->origin) == 0)
            return false;
    }
    return true;
}

bool join_fits(const struct buffer_row *rows, size_t count, uint64_t raw_bytes, const struct buffer_row *row,
               uint64_t limit_bytes, bool in_order)
{
    if (count == 0)
        return true;
    if (count == JOIN_MAX_ROWS || row->format != rows[0].format || row->raw_bytes > limit_bytes ||
        raw_bytes > limit_bytes - row->raw_bytes)
        return false;
    return !in_order || goes_forward(rows, count, row);
}
