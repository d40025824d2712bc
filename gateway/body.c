#include "gateway/body.h"

#include <errno.h>

#include "base/log.h"
#include "base/snap.h"

/* What a payload's error makes of its row; other errors are temporary. */
static bool lose_row(struct lane *lane, uint32_t row, int err)
{
    if (err != -ENOENT && err != -EBADMSG)
        return false;
    lane->fates[row] = err == -ENOENT ? ROW_GONE : ROW_DAMAGED;
    if (err == -EBADMSG)
        log_error("a row of the buffer is damaged; it is dropped",
                  "signal=%s backend=%s row=%lld origin=%s records=%llu", telemetry_name(lane->host->signal),
                  lane->host->config->name, (long long)lane->rows[row].id, lane->rows[row].origin,
                  (unsigned long long)lane->rows[row].records);
    return true;
}

static int join_rows(struct lane *lane, struct part part)
{
    size_t bytes = JOIN_HEAD;
    for (uint32_t row = part.row; row < part.row + part.rows; row++)
        bytes += (size_t)lane->rows[row].payload_bytes;
    join_clear(&lane->join, 0);
    if (buf_reserve(&lane->join.buf, bytes) < 0) /* once, so that nothing is copied again */
        return -ENOMEM;
    for (uint32_t row = part.row; row < part.row + part.rows; row++) {
        int err =
            lane->fates[row] == ROW_LIVE ? payload_join(&lane->payload, &lane->rows[row], &lane->join) : 0;
        if (err < 0 && !lose_row(lane, row, err))
            return err;
    }
    lane->post.body = join_seal(&lane->join);
    return 0;
}

static int cut_records(struct lane *lane, struct part part)
{
    const struct buffer_row *row = &lane->rows[part.row];
    struct bytes raw;
    lane->post.body = (struct bytes){0};
    int err = lane->fates[part.row] == ROW_LIVE ? payload_raw(&lane->payload, row, &raw) : -ENOENT;
    if (err < 0)
        return lane->fates[part.row] != ROW_LIVE || lose_row(lane, part.row, err) ? 0 : err;
    buf_clear(&lane->piece);
    buf_clear(&lane->packed);
    err =
        split_write(row->format, raw, lane->halving.rows[part.row].records, part.from, part.to, &lane->piece);
    if (err == 0)
        err = snap_compress(buf_bytes(&lane->piece), &lane->packed);
    if (err == 0)
        lane->post.body = buf_bytes(&lane->packed);
    return err;
}

int body_count(struct lane *lane, int status, struct bytes words)
{
    struct part part;
    struct bytes raw;
    uint32_t count = 0;
    halving_next(&lane->halving, &part);
    int err = payload_raw(&lane->payload, &lane->rows[part.row], &raw);
    if (err == 0)
        err = split_count(lane->rows[part.row].format, raw, &count);
    if (err == 0 && count > 0) {
        halving_set_count(&lane->halving, part.row, count);
        return 0;
    }
    if (lose_row(lane, part.row, err))
        return halving_take(&lane->halving);
    if (err == -ENOMEM || err == -EIO)
        return err;
    return halving_settle(&lane->halving, PART_REFUSED, status, words);
}

/* A row larger than a request may be goes in pieces. */
static int cut_large_row(struct lane *lane, struct part part)
{
    uint64_t limit = lane->host->limit_bytes, raw = lane->rows[part.row].raw_bytes;
    size_t before = lane->halving.work_count;
    int err = body_count(lane, 0, bytes_of_string("larger than a request may be, and it cannot be cut"));
    if (err < 0 || lane->halving.work_count < before || !lane->halving.rows[part.row].records)
        return err;
    lane->is_slow = true;
    return halving_cut(&lane->halving, (uint32_t)((raw + limit - 1) / limit));
}

static bool is_too_large(const struct lane *lane, struct part part)
{
    return part.rows == 1 && part.to == 0 && lane->rows[part.row].raw_bytes > lane->host->limit_bytes &&
           lane->halving.rows[part.row].records == 0 && lane->fates[part.row] == ROW_LIVE;
}

static bool is_taken_format(const struct lane *lane, enum batch_format format)
{
    switch (lane->host->kind) {
    case BACKEND_REMOTE_WRITE:
        return format == FORMAT_REMOTE_WRITE_1;
    case BACKEND_LOKI:
        return format == FORMAT_LOKI_PUSH;
    case BACKEND_OTLP_HTTP:
        return format == FORMAT_OTLP_TRACES;
    }
    return false;
}

int body_build(struct lane *lane, struct part part)
{
    enum batch_format format = lane->rows[part.row].format;
    if (lane->fates[part.row] == ROW_LIVE && !is_taken_format(lane, format))
        return halving_settle(&lane->halving, PART_REFUSED, 0,
                              bytes_of_string("this backend does not take the format"));
    if (is_too_large(lane, part))
        return cut_large_row(lane, part);
    int err = part.to ? cut_records(lane, part) : join_rows(lane, part);
    if (err < 0)
        return err;
    return lane->post.body.len ? 1 : halving_take(&lane->halving);
}
