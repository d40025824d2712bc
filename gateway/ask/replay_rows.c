#include "gateway/ask/replay_rows.h"

#include <errno.h>

#include "base/clock.h"
#include "base/snap.h"

enum { LOOK_ROWS = 256 };

static bool is_asked_for(const struct replay_work *work, const struct buffer_row *row)
{
    return row->id > work->from[row->slot] && !replay_pick_none(&work->ask, row) &&
           (work->formats >> row->format & 1) && (!work->wants || work->wants(work->wants_ctx, row));
}

/* Row ids have no gaps but for rows that went: for their age, for want of room, to another gateway. What was
 * committed before the span began has nothing of it. */
static void count_not_kept(struct replay_work *work, int64_t after, int64_t next, int64_t committed_at_ns)
{
    if (work->phase != REPLAY_LOOKS || next <= after + 1 || committed_at_ns < work->ask.from_ns)
        return;
    work->planned.not_kept += (uint64_t)(next - after - 1);
    work->not_kept_until_ns = committed_at_ns;
}

/* Behind the last row of all: what was settled and went is told by the cursors. */
static void count_not_kept_at_end(struct replay_work *work, int64_t after)
{
    int64_t last = work->newest;
    for (int slot = 0; slot < BUFFER_SLOTS; slot++)
        last = work->cursors[slot] > last ? work->cursors[slot] : last;
    count_not_kept(work, after, last + 1, clock_wall_ns());
}

int replay_rows_next(struct replay_work *work, int64_t *after, struct replay_tally *tally,
                     struct buffer_row *ret_row)
{
    for (int i = 0; i < LOOK_ROWS; i++) {
        int err = buffer_reader_next(work->reader, -1, *after, ret_row);
        bool is_end = err == -ENOENT || (err == 0 && ret_row->id > work->newest);
        if (is_end)
            count_not_kept_at_end(work, *after);
        if (err < 0 || is_end)
            return is_end ? -ENOENT : err;
        count_not_kept(work, *after, ret_row->id, ret_row->committed_at_ns);
        *after = ret_row->id;
        if (!is_asked_for(work, ret_row))
            continue;
        if (ret_row->id <= work->cursors[ret_row->slot])
            return 0;
        tally->undelivered++;
    }
    return -EAGAIN;
}

static bool is_translated(const struct replay_work *work, const struct buffer_row *row)
{
    return translate_is_needed(work->repost.kind, row->format);
}

/* What applications sent is translated before its records are looked at, as fan-out does it; what cannot be
 * (deltas among it: what they were cumulated to is not kept) is left out. */
static int translate_row(struct replay_work *work, const struct buffer_row *row, struct replay_tally *tally,
                         struct bytes *ret_raw)
{
    struct translate *t = &work->repost.translate;
    int err = translate_run(t, row->format, *ret_raw, 0, row->committed_at_ns);
    if (err < 0)
        return err == -ENOMEM ? err : -EBADMSG;
    tally->untranslated += t->result.refused;
    work->format = t->result.format;
    *ret_raw = buf_bytes(&t->result.message);
    return 0;
}

/* The raw message of a row and its format; borrowed. -EBADMSG damaged, -ENOENT gone. */
static int open_row(struct replay_work *work, const struct buffer_row *row, struct replay_tally *tally,
                    struct bytes *ret_raw)
{
    buf_clear(&work->block);
    buf_clear(&work->raw);
    int err = buffer_reader_payload(work->reader, row->id, &work->block);
    if (err == 0)
        err = snap_uncompress(buf_bytes(&work->block), &work->raw);
    *ret_raw = buf_bytes(&work->raw);
    work->format = row->format;
    return err == 0 && is_translated(work, row) ? translate_row(work, row, tally, ret_raw) : err;
}

/* What is asked for of an open row is appended to out (NULL: only counted). */
static int pick_row(struct replay_work *work, const struct buffer_row *row, struct bytes raw,
                    struct replay_tally *tally, struct buf *out)
{
    struct replay_picked picked;
    if (replay_pick_all(&work->ask, row) && !is_translated(work, row)) {
        tally->records += row->records;
        return out ? buf_append(out, raw.ptr, raw.len) : 0;
    }
    int err = replay_pick(&work->ask, work->format, raw, &picked);
    if (err == -EPROTONOSUPPORT) {
        tally->unread++;
        if (work->ask.match_count)
            return 0;
        tally->records += row->records;
        return out ? buf_append(out, raw.ptr, raw.len) : 0;
    }
    if (err < 0)
        return err;
    tally->records += picked.taken;
    tally->left_out += picked.left_out;
    tally->doubtful += picked.doubtful;
    tally->histograms += picked.histograms;
    if (out)
        err = replay_pick_write(&picked, work->format, raw, out);
    replay_picked_fini(&picked);
    return err;
}

/* What is wrong with one row does not stop the others. */
static int lose_row(struct replay_tally *tally, int err)
{
    tally->gone += err == -ENOENT;
    tally->damaged += err == -EBADMSG;
    return err == -ENOENT || err == -EBADMSG ? 0 : err;
}

int replay_rows_take(struct replay_work *work, const struct buffer_row *row, struct replay_tally *tally,
                     struct buf *out)
{
    tally->rows++;
    tally->raw_bytes += row->raw_bytes;
    if (!out && replay_pick_all(&work->ask, row) && !is_translated(work, row)) {
        tally->records += row->records;
        return 0;
    }
    struct bytes raw;
    int err = open_row(work, row, tally, &raw);
    if (err == 0)
        err = pick_row(work, row, raw, tally, out);
    return lose_row(tally, err);
}
