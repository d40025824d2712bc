#include "gateway/ask/tap_read.h"

#include <errno.h>

#include "base/snap.h"
#include "gateway/ask/record_print.h"

enum { STOPPED = 1, KEEP_BYTES = 256 * 1024 };

int tap_read_init(struct tap_read *read, struct buffer *buffer, const struct tap_query *query)
{
    *read = (struct tap_read){.query = query};
    int err = buffer_reader_open(buffer, NULL, &read->reader);
    if (err < 0)
        return err;
    buf_init(&read->block, TAP_MAX_RAW);
    buf_init(&read->raw, TAP_MAX_RAW);
    buf_init(&read->out, TAP_MAX_OUT);
    for (int slot = 0; slot < BUFFER_SLOTS && query->is_followed && !query->has_from; slot++) {
        int64_t newest = buffer_newest(buffer, slot);
        read->after = newest > read->after ? newest : read->after;
    }
    return 0;
}

void tap_read_fini(struct tap_read *read)
{
    buffer_reader_close(read->reader);
    buf_fini(&read->block);
    buf_fini(&read->raw);
    buf_fini(&read->out);
    read->reader = NULL;
}

/* What cannot be shown is said, as a comment for people and as an object for programs. */
static void say(struct tap_read *read, const char *what)
{
    long long row = (long long)read->row.id;
    if (read->query->is_json)
        buf_printf(&read->out, "{\"row\":%lld,\"error\":\"%s\"}\n", row, what);
    else
        buf_printf(&read->out, "# row %lld: %s\n", row, what);
}

static void leave_row(struct tap_read *read)
{
    read->after = read->row.id;
    read->next_record = 0;
    buf_release(&read->raw, KEEP_BYTES);
    buf_release(&read->block, KEEP_BYTES);
}

/* Times of 0 say that the sender did not know them. */
static bool is_in_span(const struct tap_query *query, const struct buffer_row *row)
{
    return row->latest_ns == 0 || (row->latest_ns >= query->from_ns && row->earliest_ns <= query->to_ns);
}

/* 0: a row is open; -ENOENT: none left in sight. */
static int find_row(struct tap_read *read)
{
    for (int i = 0; i < TAP_STEP_ROWS; i++) {
        int err = buffer_reader_next(read->reader, -1, read->after, &read->row);
        if (err < 0)
            return err;
        if (is_in_span(read->query, &read->row))
            return 0;
        read->after = read->row.id;
    }
    return -EAGAIN;
}

/* The payload of the row; what is wrong with it is said and the row left. */
static int open_row(struct tap_read *read)
{
    size_t raw_size;
    int err = buffer_reader_payload(read->reader, read->row.id, &read->block);
    if (err == 0 && snap_raw_size(buf_bytes(&read->block), &raw_size) < 0)
        err = -EBADMSG;
    if (err == 0)
        err = snap_uncompress(buf_bytes(&read->block), &read->raw);
    if (err == 0 && read->raw.len == 0)
        err = -ENOENT; /* no records */
    if (err == -EIO || err == -ENOMEM || err == 0)
        return err;
    if (err != -ENOENT)
        say(read, err == -EMSGSIZE ? "too large to show" : "damaged");
    leave_row(read);
    return -EAGAIN;
}

struct show {
    struct tap_read *read;
    uint64_t index;
};

static int show_record(void *ctx, const struct record *record)
{
    struct show *show = ctx;
    struct tap_read *read = show->read;
    if (show->index++ < read->next_record)
        return 0;
    read->next_record = show->index;
    if (!tap_query_matches(read->query, record))
        return 0;
    if (read->query->is_json)
        record_print_json(record, &read->out);
    else
        record_print_human(record, &read->out);
    read->shown++;
    return read->shown >= read->query->limit || read->out.len >= TAP_STEP_BYTES ? STOPPED : 0;
}

static void show_row(struct tap_read *read)
{
    struct show show = {.read = read};
    int end = records_show(read->row.format, buf_bytes(&read->raw), show_record, &show);
    if (end == STOPPED)
        return;
    if (end == -EPROTONOSUPPORT)
        say(read, "its format is not shown");
    else if (end < 0)
        say(read, "not in its format");
    leave_row(read);
}

enum tap_step tap_read_step(struct tap_read *read)
{
    buf_clear(&read->out);
    if (read->shown >= read->query->limit)
        return TAP_DONE;
    int err = 0;
    if (read->raw.len == 0) {
        err = find_row(read);
        if (err == 0)
            err = open_row(read);
    }
    if (err == -ENOENT)
        return TAP_AT_END;
    if (err == -EAGAIN)
        return TAP_MORE;
    if (err < 0)
        return TAP_FAILED;
    show_row(read);
    return read->shown >= read->query->limit ? TAP_DONE : TAP_MORE;
}
