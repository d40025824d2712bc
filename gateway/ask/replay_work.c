#include "gateway/ask/replay_work.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "gateway/ask/job.h"
#include "gateway/ask/record_print.h"
#include "gateway/ask/replay_rows.h"
#include "gateway/ask/replay_send.h"
#include "gateway/fanout/backend_kind.h"

enum { LOOK_BYTES = 8 << 20 };

/* ---- looking */

/* Which rows there are to look at. */
static void find_ends(struct replay_work *work)
{
    work->first = INT64_MAX;
    for (int slot = 0; slot < BUFFER_SLOTS; slot++) {
        int64_t newest = buffer_newest(work->buffer, slot);
        work->newest = newest > work->newest ? newest : work->newest;
        if (newest > work->from[slot] && work->from[slot] < work->first)
            work->first = work->from[slot];
    }
    if (work->first > work->newest)
        work->first = work->newest;
    work->after = work->first;
}

static int begin(struct replay_work *work, struct buf *out)
{
    struct replay_window window;
    char from[RECORD_PRINT_TIME], to[RECORD_PRINT_TIME];
    int err = buffer_reader_open(work->buffer, work->config->name, &work->reader);
    if (err == 0)
        err = buffer_reader_cursors(work->reader, work->cursors);
    if (err == 0)
        err = buffer_reader_replay(work->reader, work->plan, &work->earlier);
    if (err == 0 || err == -ENOENT)
        err = repost_init(&work->repost, work->config, backend_kind_of(work->config, work->signal),
                          work->signal);
    work->has_repost = work->repost.sender;
    if (err < 0)
        return err;
    find_ends(work);
    replay_window_read(work->repost.sender, work->repost.kind, work->signal, clock_wall_ns(), &window);
    work->ask.refused_before_ns = window.refused_before_ns;
    work->ask.doubtful_before_ns = window.doubtful_before_ns;
    work->ask.histograms_before_ns = window.histograms_before_ns;
    record_print_time(work->ask.from_ns, from);
    record_print_time(work->ask.to_ns, to);
    return buf_printf(out, "%s to %s from %s to %s\n%s: %s\n", telemetry_name(work->signal),
                      work->config->name, from, to,
                      window.is_known ? "what it takes" : "what it takes is not known", window.words);
}

/* What of the span is elsewhere or nowhere. */
static void tell_not_kept(const struct replay_work *work, struct buf *out)
{
    char until[RECORD_PRINT_TIME];
    if (work->planned.not_kept) {
        record_print_time(work->not_kept_until_ns, until);
        buf_printf(out,
                   "not kept any more: %" PRIu64 " batches committed before %s, which may be of this span\n",
                   work->planned.not_kept, until);
    }
    if (work->only_of)
        buf_printf(out, "this is what %s keeps; the other gateways replay theirs\n", work->only_of);
}

static void tell_plan(const struct replay_work *work, struct buf *out)
{
    const struct replay_tally *t = &work->planned;
    buf_printf(out, "kept: %" PRIu64 " batches, %" PRIu64 " bytes, %" PRIu64 " records to send\n", t->rows,
               t->raw_bytes, t->records);
    if (t->left_out)
        buf_printf(out, "left out: %" PRIu64 " records that it refuses for their age\n", t->left_out);
    if (t->doubtful)
        buf_printf(out, "will be refused: those of %" PRIu64 " records whose %s has newer ones there\n",
                   t->doubtful, work->signal == TELEMETRY_LOGS ? "stream" : "series");
    if (t->histograms)
        buf_printf(out,
                   "will be refused by a Prometheus before 3.0: those of %" PRIu64
                   " native histograms whose series has newer ones there\n",
                   t->histograms);
    if (t->undelivered)
        buf_printf(out,
                   "not sent: %" PRIu64 " batches that were not delivered yet and follow by themselves\n",
                   t->undelivered);
    if (t->unread)
        buf_printf(out, "%" PRIu64 " batches cannot be looked into and are %s\n", t->unread,
                   work->ask.match_count ? "left out" : "sent whole");
    if (t->untranslated)
        buf_printf(out, "left out: %" PRIu64 " records that cannot be translated again\n", t->untranslated);
    if (t->damaged + t->gone)
        buf_printf(out, "damaged: %" PRIu64 " batches, gone meanwhile: %" PRIu64 "\n", t->damaged, t->gone);
    tell_not_kept(work, out);
}

/* On where an earlier one of the same plan was cut off. */
static int begin_to_send(struct replay_work *work, struct buf *out)
{
    char started[RECORD_PRINT_TIME];
    work->phase = REPLAY_SENDS;
    work->after = work->earlier.row_id > work->first ? work->earlier.row_id : work->first;
    work->delivered = work->earlier.delivered;
    work->refused = work->earlier.refused;
    work->begun_bytes = work->sent.raw_bytes;
    work->started_ns = work->paced_ns = clock_mono_ns();
    record_print_time(work->earlier.started_ns, started);
    if (work->earlier.row_id)
        buf_printf(out, "goes on after batch %" PRId64 " of the replay begun at %s\n", work->earlier.row_id,
                   started);
    replay_send_tell(work, out);
    return JOB_GOES_ON;
}

static int look_at(struct replay_work *work)
{
    struct buffer_row row;
    int err = replay_rows_next(work, &work->after, &work->planned, &row);
    if (err < 0)
        return err;
    if (row.id <= work->earlier.row_id) {
        work->sent.rows++;
        work->sent.raw_bytes += row.raw_bytes;
    }
    return replay_rows_take(work, &row, &work->planned, NULL);
}

static int look(struct replay_work *work, const _Atomic bool *cancelled, struct buf *out)
{
    uint64_t before = work->planned.raw_bytes;
    int err = work->reader ? 0 : begin(work, out);
    while (err == 0 && !atomic_load(cancelled) && work->planned.raw_bytes - before < LOOK_BYTES)
        err = look_at(work);
    if (err == -EAGAIN || err == 0)
        return JOB_GOES_ON;
    if (err != -ENOENT)
        return err;
    tell_plan(work, out);
    return work->is_dry ? 0 : begin_to_send(work, out);
}

/* ---- the job */

void replay_work_init(struct replay_work *work)
{
    if (!work->has_rate)
        work->rate = work->config->replay_rate_bytes;
    work->limit_bytes = backend_kind_limit(work->config, work->signal);
    if (work->rate > 0 && (uint64_t)work->rate < work->limit_bytes)
        work->limit_bytes = (uint64_t)work->rate;
    work->formats = backend_kind_formats(work->config, work->signal);
    buf_init(&work->block, REPLAY_MAX_RAW);
    buf_init(&work->raw, REPLAY_MAX_RAW);
    buf_init(&work->message, REPLAY_MAX_RAW);
}

int replay_work_step(void *ctx, const _Atomic bool *cancelled, struct buf *out)
{
    struct replay_work *work = ctx;
    int err =
        work->phase == REPLAY_LOOKS ? look(work, cancelled, out) : replay_send_step(work, cancelled, out);
    if (err >= JOB_GOES_ON)
        return err;
    buf_printf(out, "failed: %s\n", strerror(-err));
    return 1;
}

void replay_work_fini(struct replay_work *work)
{
    buffer_reader_close(work->reader);
    if (work->has_repost)
        repost_fini(&work->repost);
    buf_fini(&work->block);
    buf_fini(&work->raw);
    buf_fini(&work->message);
}

void replay_work_free(void *ctx)
{
    replay_work_fini(ctx);
    free(ctx);
}
