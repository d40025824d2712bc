#include "node-agent/ship/spool_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SENDERS_BYTES = 128 * 1024 };
enum { ROW_BYTES = 80 * 1024 * 1024 }; /* compressed; a batch of one largest OTLP request is below it */

static const char *const backend = "gateway";

/* ---- opening */

static int open_reader(struct spool_file *file)
{
    int err = buffer_reader_open(file->buffer, backend, &file->reader);
    if (err < 0)
        return err;
    err = buffer_reader_cursors(file->reader, file->cursors);
    if (err < 0) {
        buffer_reader_close(file->reader);
        file->reader = NULL;
    }
    return err;
}

int spool_file_open(struct spool_file *file, const char *folder, enum telemetry signal, int64_t quota_bytes,
                    struct mailbox *mailbox, struct buf *errors)
{
    const struct buffer_options options = {
        .folder = folder,
        .signal = signal,
        .quota_bytes = quota_bytes,
        .when_full = signal == TELEMETRY_METRICS ? BUFFER_DROP_OLDEST : BUFFER_PUSH_BACK,
        .keeps_senders = true,
        .backends = &backend,
        .backend_count = 1,
    };
    struct spool_file opened = {.mailbox = mailbox, .signal = signal, .has_more = true};
    int err = buffer_open(&options, &opened.buffer, errors);
    if (err < 0)
        return err;
    err = open_reader(&opened);
    if (err < 0) {
        buffer_close(opened.buffer);
        return err;
    }
    *file = opened;
    return 0;
}

void spool_file_close(struct spool_file *file)
{
    if (file->reader)
        buffer_reader_close(file->reader);
    file->reader = NULL;
    buffer_close(file->buffer);
    file->buffer = NULL;
}

/* ---- in */

static void on_appended(struct letter *letter)
{
    struct buffer_append *append = (struct buffer_append *)letter;
    struct spool_file *file =
        (struct spool_file *)(void *)((char *)append - offsetof(struct spool_file, append));
    struct batch *batch = append->batch;
    append->batch = NULL;
    file->is_appending = false;
    file->has_more |= append->outcome == BUFFER_COMMITTED;
    file->appended(file->ctx, batch, append->outcome);
}

void spool_file_append(struct spool_file *file, struct batch *batch,
                       void (*appended)(void *ctx, struct batch *batch, enum buffer_outcome outcome),
                       void *ctx)
{
    file->appended = appended;
    file->ctx = ctx;
    file->is_appending = true;
    file->append = (struct buffer_append){
        .letter.open = on_appended,
        .reply_to = file->mailbox,
        .batch = batch,
    };
    buffer_append(file->buffer, &file->append);
}

/* ---- out */

static int make_batch(const struct buffer_row *row, struct buf *payload, enum telemetry signal,
                      struct batch **ret_batch)
{
    struct batch *batch = batch_new(row->origin);
    size_t len;
    if (!batch)
        return -ENOMEM;
    batch->boot = row->boot;
    batch->signal = signal;
    batch->format = row->format;
    batch->seq = row->seq;
    batch->records = row->records;
    batch->raw_bytes = row->raw_bytes;
    batch->largest_stream_bytes = row->largest_stream_bytes;
    batch->earliest_ns = row->earliest_ns;
    batch->latest_ns = row->latest_ns;
    uint8_t *bytes = buf_detach(payload, &len);
    batch_take_payload(batch, bytes, len);
    *ret_batch = batch;
    return 0;
}

/* Names the row's unknown senders in the batch; where they cannot be read it goes without them. */
static void add_senders(struct buffer_reader *reader, const struct buffer_row *row, struct batch *batch)
{
    struct buf text;
    char host[BATCH_MAX_HOST + 1];
    uint64_t begin, end;
    int len;
    buf_init(&text, SENDERS_BYTES);
    if (buffer_reader_sources(reader, row->id, &text) == 0 && text.len && buf_append(&text, "", 1) == 0)
        for (const char *at = (const char *)text.ptr;
             sscanf(at, "%64s %" SCNu64 " %" SCNu64 "%n", host, &begin, &end, &len) == 3 &&
             batch_add_sender(batch, host, begin, end) == 0;)
            at += len;
    buf_fini(&text);
}

struct settling { /* frees itself */
    struct buffer_settlement settlement;
    struct buffer_moved moved;
};

static void on_settled(struct letter *letter)
{
    free(letter); /* a cursor that could not be moved only means that the gateway recognises a repeat */
}

static void settle(struct spool_file *file, const struct buffer_row *row, enum buffer_cause cause)
{
    struct settling *settling = calloc(1, sizeof *settling);
    if (!settling)
        return;
    settling->moved = (struct buffer_moved){row->slot, row->id};
    settling->settlement = (struct buffer_settlement){
        .letter.open = on_settled,
        .reply_to = file->mailbox,
        .backend = backend,
        .moved = &settling->moved,
        .moved_count = 1,
    };
    settling->settlement.counts[cause] = row->records;
    buffer_settle(file->buffer, &settling->settlement);
}

/* The next row that the cursors have not passed. */
static int next_row(struct spool_file *file, struct buffer_row *ret_row)
{
    struct buffer_row row;
    int err;
    while ((err = buffer_reader_next(file->reader, -1, file->after, &row)) == 0) {
        file->after = row.id;
        if (row.id > file->cursors[row.slot]) {
            *ret_row = row;
            return 0;
        }
    }
    return err;
}

int spool_file_next(struct spool_file *file, struct batch **ret_batch)
{
    struct buffer_row row;
    int err = file->has_more ? 0 : -ENOENT;
    while (err == 0 && (err = next_row(file, &row)) == 0) {
        struct buf payload;
        buf_init(&payload, ROW_BYTES);
        err = buffer_reader_payload(file->reader, row.id, &payload);
        if (err == 0)
            err = make_batch(&row, &payload, file->signal, ret_batch);
        buf_fini(&payload);
        if (err == 0) {
            add_senders(file->reader, &row, *ret_batch);
            file->out = row;
            return 0;
        }
        if (err == -EBADMSG || err == -ENOENT) { /* damaged, or just dropped to make room */
            file->damaged += err == -EBADMSG;
            if (err == -EBADMSG)
                settle(file, &row, BUFFER_DROPPED);
            err = 0;
        } else
            file->after = row.id - 1; /* again later */
    }
    if (err == -ENOENT)
        file->has_more = false;
    return err;
}

bool spool_file_is_out(const struct spool_file *file, const struct batch *batch)
{
    return file->out.id && batch && batch->seq == file->out.seq &&
           boot_compare(batch->boot, file->out.boot) == 0;
}

void spool_file_settle(struct spool_file *file, enum buffer_cause cause)
{
    settle(file, &file->out, cause);
    file->out.id = 0;
}
