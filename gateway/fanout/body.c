#include "gateway/fanout/body.h"

#include <errno.h>

#include "base/log.h"
#include "base/snap.h"
#include "base/stats.h"

static const char not_translated[] = "not a message of its format, or too large when it is translated";

/* What a payload's error makes of its row; other errors are temporary. */
static bool lose_row(struct lane *lane, uint32_t row, int err)
{
    if (err != -ENOENT && err != -EBADMSG)
        return false;
    lane->fates[row] = err == -ENOENT ? ROW_GONE : ROW_DAMAGED;
    if (err == -EBADMSG)
        log_error("a row of the buffer is damaged; it is dropped",
                  "signal=%s backend=%s row=%lld origin=%s boot=%016llx seq=%llu records=%llu",
                  telemetry_name(lane->host->signal), lane->host->config->name, (long long)lane->rows[row].id,
                  lane->rows[row].origin, (unsigned long long)lane->rows[row].boot.id,
                  (unsigned long long)lane->rows[row].seq, (unsigned long long)lane->rows[row].records);
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

/* The body out of what is in lane->piece. */
static int pack(struct lane *lane)
{
    if (backend_is_plain(lane->host->kind)) {
        lane->post.body = buf_bytes(&lane->piece);
        return 0;
    }
    buf_clear(&lane->packed);
    int err = snap_compress(buf_bytes(&lane->piece), &lane->packed);
    if (err == 0)
        lane->post.body = buf_bytes(&lane->packed);
    return err;
}

static int cut_records(struct lane *lane, struct part part)
{
    const struct buffer_row *row = &lane->rows[part.row];
    struct bytes raw;
    lane->post.body = (struct bytes){0};
    int err = lane->fates[part.row] == ROW_LIVE ? payload_raw(&lane->payload, row, &raw) : -ENOENT;
    if (err == -EPROTO)
        return halving_settle(&lane->halving, PART_REFUSED, 0, bytes_of_string(not_translated));
    if (err < 0)
        return lane->fates[part.row] != ROW_LIVE || lose_row(lane, part.row, err) ? 0 : err;
    buf_clear(&lane->piece);
    uint32_t count = lane->halving.rows[part.row].records;
    if (payload_is_translated(&lane->payload, row) && lane->host->translate->result.count != count)
        return halving_settle(
            &lane->halving, PART_UNRESOLVED, 0,
            bytes_of_string("translated otherwise than when it was cut: the options changed"));
    err = split_write(payload_format(&lane->payload, row), raw, count, part.from, part.to, &lane->piece);
    return err < 0 ? err : pack(lane);
}

int body_count(struct lane *lane, int status, struct bytes words)
{
    struct part part;
    struct bytes raw;
    uint32_t count = 0;
    halving_next(&lane->halving, &part);
    int err = payload_raw(&lane->payload, &lane->rows[part.row], &raw);
    if (err == 0)
        err = split_count(payload_format(&lane->payload, &lane->rows[part.row]), raw, &count);
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

/* ---- rows that are not posted as they are kept: translated, or uncompressed */

/* A row of which nothing is left to post: it is answered when it is the whole part, else it is looked at by
 * itself. */
static int settle_unfit(struct lane *lane, struct part part)
{
    if (part.rows > 1)
        return halving_refuse(&lane->halving, 0, bytes_of_string("")); /* cuts between rows */
    return halving_settle(&lane->halving, PART_REFUSED, 0, bytes_of_string(not_translated));
}

/* Appends the rows of the part to lane->piece. 1: done; 0: the part is no longer the next one; errors. */
static int collect_rows(struct lane *lane, struct part part)
{
    buf_clear(&lane->piece);
    for (uint32_t i = part.row; i < part.row + part.rows; i++) {
        const struct buffer_row *row = &lane->rows[i];
        struct bytes raw;
        if (lane->fates[i] != ROW_LIVE)
            continue;
        int err = payload_raw(&lane->payload, row, &raw);
        if (err == -EPROTO)
            return settle_unfit(lane, part);
        if (err < 0 && lose_row(lane, i, err))
            continue;
        if (err == 0 && payload_is_translated(&lane->payload, row))
            lane->is_whole[i] = lane->host->translate->result.refused == 0;
        if (err == 0 && part.rows > 1 && lane->piece.len + raw.len > lane->host->limit_bytes)
            return halving_refuse(&lane->halving, 0, bytes_of_string(""));
        if (err == 0)
            err = buf_append(&lane->piece, raw.ptr, raw.len);
        if (err < 0)
            return err;
    }
    return 1;
}

/* The part's rows as one body. 1: there is one (or nothing is left of the rows); 0: look at the next part. */
static int build_plain(struct lane *lane, struct part part)
{
    uint64_t limit = lane->host->limit_bytes;
    lane->post.body = (struct bytes){0};
    int err = collect_rows(lane, part);
    if (err <= 0)
        return err;
    bool is_large = part.rows == 1 && lane->piece.len > limit && !lane->halving.rows[part.row].records;
    if (is_large) {
        size_t before = lane->halving.work_count;
        uint32_t pieces = (uint32_t)((lane->piece.len + limit - 1) / limit);
        err = body_count(lane, 0, bytes_of_string("larger than a request may be, and it cannot be cut"));
        if (err < 0 || lane->halving.work_count < before)
            return err;
        if (lane->halving.rows[part.row].records > 1) {
            lane->is_slow = true;
            return halving_cut(&lane->halving, pieces);
        }
    }
    payload_release(&lane->payload);
    err = lane->piece.len ? pack(lane) : 0;
    return err < 0 ? err : 1;
}

/* A format that another backend of the signal takes is that one's business; one that none takes is shown. */
static int pass_over(struct lane *lane, struct part part)
{
    bool is_others = lane->host->formats_elsewhere >> lane->rows[part.row].format & 1;
    for (uint32_t i = part.row; i < part.row + part.rows; i++)
        stats_add(lane->host->not_taken, (int64_t)lane->rows[i].records);
    return halving_settle(&lane->halving, is_others ? PART_DROPPED : PART_REFUSED, 0,
                          bytes_of_string("no backend of the signal takes the format"));
}

int body_build(struct lane *lane, struct part part)
{
    const struct buffer_row *row = &lane->rows[part.row];
    bool is_translated = payload_is_translated(&lane->payload, row);
    if (lane->fates[part.row] == ROW_LIVE && !(lane->host->formats >> row->format & 1))
        return pass_over(lane, part);
    bool is_plain = backend_is_plain(lane->host->kind) || is_translated;
    if (!is_plain && is_too_large(lane, part))
        return cut_large_row(lane, part);
    size_t before = lane->halving.work_count;
    int err = part.to ? cut_records(lane, part) : is_plain ? build_plain(lane, part) : join_rows(lane, part);
    if (err < 0 || (is_plain && !part.to && err == 0) || lane->halving.work_count < before)
        return err;
    return lane->post.body.len ? 1 : halving_take(&lane->halving);
}
