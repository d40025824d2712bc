#include "node-agent/logs/push.h"

#include <errno.h>
#include <stdlib.h>

#include "base/pb.h"
#include "base/snap.h"

enum {
    STREAMS = 1,
    LABELS = 1,
    ENTRIES = 2,
    TIMESTAMP = 1,
    LINE = 2,
    METADATA = 3,
    SECONDS = 1,
    NANOS = 2,
    NAME = 1,
    VALUE = 2
};
enum { ENTRY_ROOM = 64, STREAM_ROOM = 32 }; /* above the text and the labels: tags, lengths, time */
#define NS_PER_S INT64_C(1000000000)

void push_init(struct push *p, size_t limit)
{
    *p = (struct push){.limit = limit, .first = -1};
    buf_init(&p->raw, limit + ENTRY_ROOM);
    for (int i = 0; i < PUSH_STREAMS; i++)
        buf_init(&p->side[i], limit + ENTRY_ROOM);
}

void push_fini(struct push *p)
{
    buf_fini(&p->raw);
    for (int i = 0; i < PUSH_STREAMS; i++)
        buf_fini(&p->side[i]);
}

void push_clear(struct push *p)
{
    buf_clear(&p->raw);
    for (int i = 0; i < PUSH_STREAMS; i++)
        buf_clear(&p->side[i]);
    p->first = -1;
    p->reserved = 0;
    p->records = p->largest_stream_bytes = 0;
    p->earliest_ns = INT64_MAX;
    p->latest_ns = 0;
}

void push_release(struct push *p)
{
    push_clear(p);
    buf_release(&p->raw, 0);
    for (int i = 0; i < PUSH_STREAMS; i++)
        buf_release(&p->side[i], 0);
}

int push_reserve(struct push *p, size_t bytes)
{
    size_t want = bytes < p->raw.max ? bytes : p->raw.max;
    return want > p->raw.len ? buf_reserve(&p->raw, want - p->raw.len) : 0;
}

void push_begin_log(struct push *p, const struct bytes labels[PUSH_STREAMS])
{
    p->first = -1;
    p->reserved = 0;
    for (int i = 0; i < PUSH_STREAMS; i++)
        p->labels[i] = labels[i];
}

/* What a stream's message takes besides its entries. */
static size_t stream_room(const struct push *p, int stream)
{
    return p->labels[stream].len + STREAM_ROOM;
}

static bool is_new(const struct push *p, int stream)
{
    return stream != p->first && p->side[stream].len == 0;
}

bool push_has_room(const struct push *p, int stream, size_t len)
{
    size_t used = p->raw.len + p->reserved;
    for (int i = 0; i < PUSH_STREAMS; i++)
        used += p->side[i].len;
    if (is_new(p, stream))
        used += stream_room(p, stream);
    return used + len + ENTRY_ROOM <= p->limit;
}

static int begin_stream(struct push *p, int stream, size_t *ret_mark)
{
    int err = buf_reserve(&p->raw, stream_room(p, stream));
    if (err < 0)
        return err;
    pb_begin(&p->raw, STREAMS, ret_mark);
    return pb_put_bytes(&p->raw, LABELS, p->labels[stream]);
}

static int open_stream(struct push *p, int stream)
{
    if (p->first >= 0) {
        p->reserved += stream_room(p, stream);
        return 0;
    }
    int err = begin_stream(p, stream, &p->mark);
    if (err == 0)
        p->first = stream;
    return err;
}

static uint8_t *write_bytes(uint8_t *at, struct bytes text)
{
    if (text.len)
        memcpy(at, text.ptr, text.len);
    return at + text.len;
}

/* The line stands last, where push_last_text finds it. */
static uint8_t *write_entry(uint8_t *at, int64_t time_ns, struct bytes text,
                            const struct bytes metadata[PUSH_METADATA])
{
    uint64_t seconds = (uint64_t)(time_ns / NS_PER_S), nanos = (uint64_t)(time_ns % NS_PER_S);
    size_t time_len = 2 + pb_varint_size(seconds) + pb_varint_size(nanos);
    size_t len = 2 + time_len + 1 + pb_varint_size(text.len) + text.len + metadata[0].len + metadata[1].len;
    *at++ = ENTRIES << 3 | PB_LEN;
    at = pb_write_varint(at, len);
    *at++ = TIMESTAMP << 3 | PB_LEN;
    *at++ = (uint8_t)time_len;
    *at++ = SECONDS << 3 | PB_VARINT;
    at = pb_write_varint(at, seconds);
    *at++ = NANOS << 3 | PB_VARINT;
    at = pb_write_varint(at, nanos);
    for (int i = 0; i < PUSH_METADATA; i++)
        at = write_bytes(at, metadata[i]);
    *at++ = LINE << 3 | PB_LEN;
    at = pb_write_varint(at, text.len);
    return write_bytes(at, text);
}

int push_add(struct push *p, int stream, int64_t time_ns, struct bytes text)
{
    static const struct bytes none[PUSH_METADATA];
    return push_add_with(p, stream, time_ns, text, none);
}

int push_add_with(struct push *p, int stream, int64_t time_ns, struct bytes text,
                  const struct bytes metadata[PUSH_METADATA])
{
    int err = 0;
    size_t len = text.len + metadata[0].len + metadata[1].len;
    if (!push_has_room(p, stream, len))
        return -EMSGSIZE;
    struct buf *b = stream == p->first || p->first < 0 ? &p->raw : &p->side[stream];
    if (is_new(p, stream))
        err = open_stream(p, stream);
    if (err < 0 || (err = buf_reserve(b, len + ENTRY_ROOM)) < 0)
        return err;
    b->len = (size_t)(write_entry(b->ptr + b->len, time_ns, text, metadata) - b->ptr);
    p->records++;
    p->earliest_ns = time_ns < p->earliest_ns ? time_ns : p->earliest_ns;
    p->latest_ns = time_ns > p->latest_ns ? time_ns : p->latest_ns;
    return 0;
}

int push_put_metadata(struct buf *out, const char *name, struct bytes value)
{
    size_t mark;
    int err = buf_reserve(out, strlen(name) + value.len + 48);
    if (err < 0)
        return err;
    pb_begin(out, METADATA, &mark);
    err = pb_put_bytes(out, NAME, bytes_of_string(name));
    if (err == 0)
        err = pb_put_bytes(out, VALUE, value);
    pb_end(out, mark);
    return err;
}

struct bytes push_last_text(const struct push *p, int stream, size_t len)
{
    const struct buf *b = stream == p->first ? &p->raw : &p->side[stream];
    return (struct bytes){b->ptr + b->len - len, len};
}

static void close_stream(struct push *p, size_t mark)
{
    uint64_t size = p->raw.len - mark;
    pb_end(&p->raw, mark);
    if (size > p->largest_stream_bytes)
        p->largest_stream_bytes = size;
}

static int move_side(struct push *p, int stream)
{
    size_t mark;
    int err = begin_stream(p, stream, &mark);
    if (err == 0)
        err = buf_append(&p->raw, p->side[stream].ptr, p->side[stream].len);
    if (err < 0)
        return err;
    close_stream(p, mark);
    buf_clear(&p->side[stream]);
    return 0;
}

int push_end_log(struct push *p)
{
    int err = 0;
    if (p->first >= 0)
        close_stream(p, p->mark);
    for (int i = 0; i < PUSH_STREAMS && err == 0; i++)
        if (p->side[i].len)
            err = move_side(p, i);
    p->first = -1;
    p->reserved = 0;
    return err;
}

/* Room for the worst case, of which what was not needed is given back: the block is not copied. */
int push_compress(struct push *p, uint8_t **ret_block, size_t *ret_len)
{
    struct buf block;
    buf_init(&block, 2 * p->limit + 1024);
    int err = snap_compress(buf_bytes(&p->raw), &block);
    if (err < 0) {
        buf_fini(&block);
        return err;
    }
    uint8_t *fitted = realloc(block.ptr, block.len);
    *ret_block = fitted ? fitted : block.ptr;
    *ret_len = block.len;
    return 0;
}
