#include "gateway/ask/replay_work.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/snap.h"
#include "gateway/ask/job.h"
#include "gateway/ask/record_print.h"
#include "gateway/ask/waited.h"
#include "gateway/fanout/backend_kind.h"

enum {
    LOOK_ROWS = 256,
    LOOK_BYTES = 8 << 20,
    MOST_RAW = 256 << 20,
    MOST_TOLD = 100,
    WAIT_MS = 100,
    MS = 1000000
};

/* ---- rows */

/* The next row of the span that is settled at the backend; the others of the span are counted into tally. */
static int next_row(struct replay_work *work, int64_t *after, struct replay_tally *tally,
                    struct buffer_row *ret_row)
{
    for (int i = 0; i < LOOK_ROWS; i++) {
        int err = buffer_reader_next(work->reader, -1, *after, ret_row);
        if (err < 0)
            return err;
        if (ret_row->id > work->newest)
            return -ENOENT;
        *after = ret_row->id;
        if (replay_pick_none(&work->ask, ret_row) || !(work->formats >> ret_row->format & 1))
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

static int take_row(struct replay_work *work, const struct buffer_row *row, struct replay_tally *tally,
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

/* ---- looking */

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
    for (int slot = 0; slot < BUFFER_SLOTS; slot++) {
        int64_t newest = buffer_newest(work->buffer, slot);
        work->newest = newest > work->newest ? newest : work->newest;
    }
    replay_window_read(work->repost.sender, work->repost.kind, work->signal, clock_wall_ns(), &window);
    work->ask.refused_before_ns = window.refused_before_ns;
    work->ask.doubtful_before_ns = window.doubtful_before_ns;
    record_print_time(work->ask.from_ns, from);
    record_print_time(work->ask.to_ns, to);
    return buf_printf(out, "%s to %s from %s to %s\n%s: %s\n", telemetry_name(work->signal),
                      work->config->name, from, to,
                      window.is_known ? "what it takes" : "what it takes is not known", window.words);
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
}

/* On where an earlier one of the same plan was cut off. */
static int begin_to_send(struct replay_work *work, struct buf *out)
{
    char started[RECORD_PRINT_TIME];
    work->phase = REPLAY_SENDS;
    work->after = work->earlier.row_id;
    work->delivered = work->earlier.delivered;
    work->refused = work->earlier.refused;
    work->started_ns = work->paced_ns = clock_mono_ns();
    if (!work->earlier.row_id)
        return JOB_GOES_ON;
    record_print_time(work->earlier.started_ns, started);
    buf_printf(out, "goes on after batch %" PRId64 " of the replay begun at %s\n", work->earlier.row_id,
               started);
    return JOB_GOES_ON;
}

static int look_at(struct replay_work *work)
{
    struct buffer_row row;
    int err = next_row(work, &work->after, &work->planned, &row);
    if (err < 0)
        return err;
    if (row.id <= work->earlier.row_id) {
        work->sent.rows++;
        work->sent.raw_bytes += row.raw_bytes;
    }
    return take_row(work, &row, &work->planned, NULL);
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

/* ---- sending */

static bool may_join(const struct replay_work *work, const struct buffer_row *row)
{
    return join_fits(work->rows, work->row_count, work->message.len, row, work->limit_bytes,
                     work->signal == TELEMETRY_METRICS);
}

/* Rows up to a request's worth. -ENOENT at the end; a message may be there even so. */
static int gather(struct replay_work *work)
{
    struct buffer_row *row = &work->rows[0];
    int64_t at = work->after;
    int err = 0;
    buf_release(&work->message, (size_t)work->limit_bytes);
    work->row_count = 0;
    while (work->row_count < JOIN_MAX_ROWS) {
        struct replay_tally seen = work->sent;
        row = &work->rows[work->row_count];
        err = next_row(work, &at, &seen, row);
        if (err == 0 && !may_join(work, row))
            break;
        if (err == 0)
            err = take_row(work, row, &seen, &work->message);
        if (err < 0)
            break;
        work->sent = seen;
        work->row_count++;
        work->message_after = at;
    }
    if (err == -EAGAIN && work->row_count == 0)
        work->message_after = at; /* a stretch with nothing of the span */
    work->message_format = work->format;
    work->has_message = work->row_count > 0 || err == -EAGAIN;
    return work->has_message ? 0 : err;
}

static void tell_refusal(struct replay_work *work, const struct repost_result *result, struct buf *out)
{
    if (result->refused && work->told++ < MOST_TOLD)
        buf_printf(out, "refused: %" PRIu64 " records of batches %" PRId64 " to %" PRId64 ": %s\n",
                   result->refused, work->rows[0].id, work->rows[work->row_count - 1].id, result->words);
}

struct sum {
    uint64_t delivered, refused;
};

static int post_message(struct replay_work *work, struct bytes raw, const _Atomic bool *cancelled,
                        struct sum *sum, struct buf *out)
{
    struct repost_result result;
    int err = repost_message(&work->repost, work->message_format, raw, cancelled, &result);
    if (err == 0) {
        sum->delivered += result.delivered;
        sum->refused += result.refused;
        tell_refusal(work, &result, out);
    } else if (err == -EAGAIN) {
        buf_printf(out, "the backend does not take it now (%s); it is tried again\n", result.words);
    }
    buf_fini(&result.left);
    return err;
}

static int post_streams(struct replay_work *work, const _Atomic bool *cancelled, struct sum *sum,
                        struct buf *out)
{
    struct replay_stream *streams;
    struct buf one;
    size_t count;
    int err = replay_streams(buf_bytes(&work->message), &streams, &count);
    if (err < 0)
        return err;
    buf_init(&one, MOST_RAW);
    for (size_t i = 0, next; err == 0 && i < count; i = next) {
        buf_clear(&one);
        for (next = i; err == 0 && next < count && streams[next].hash == streams[i].hash; next++)
            err = buf_append(&one, streams[next].whole.ptr, streams[next].whole.len);
        if (err == 0)
            err = post_message(work, buf_bytes(&one), cancelled, sum, out);
    }
    buf_fini(&one);
    free(streams);
    return err;
}

static int note(struct replay_work *work, const struct sum *sum, bool is_done)
{
    struct waited waited;
    struct buffer_replay_note noted = {.backend = work->config->name,
                                       .plan = work->plan,
                                       .row_id = work->after,
                                       .delivered = sum->delivered,
                                       .refused = sum->refused,
                                       .is_done = is_done};
    waited_init(&waited, &noted.letter);
    noted.reply_to = &waited.box;
    buffer_note_replay(work->buffer, &noted);
    waited_end(&waited);
    return noted.error;
}

/* Until the rate allows the next message. */
static void keep_pace(struct replay_work *work, const _Atomic bool *cancelled)
{
    if (work->rate <= 0)
        return;
    int64_t now_ns = clock_mono_ns();
    if (work->paced_ns < now_ns - INT64_C(1000) * MS)
        work->paced_ns = now_ns - INT64_C(1000) * MS; /* what was not used does not add up */
    work->paced_ns += (int64_t)((double)work->message.len / (double)work->rate * 1e9);
    while (!atomic_load(cancelled) && (now_ns = clock_mono_ns()) < work->paced_ns) {
        int64_t left_ms = (work->paced_ns - now_ns) / MS + 1;
        (void)poll(NULL, 0, left_ms < WAIT_MS ? (int)left_ms : WAIT_MS);
    }
}

static void tell_progress(const struct replay_work *work, struct buf *out)
{
    buf_printf(out, "progress %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 "\n", work->sent.rows,
               work->planned.rows, work->sent.raw_bytes, work->delivered,
               (clock_mono_ns() - work->started_ns) / MS);
}

static int finish(struct replay_work *work, struct buf *out)
{
    int err = note(work, &(struct sum){0}, true);
    if (err < 0)
        return err;
    buf_printf(out,
               "replayed: %" PRIu64 " records; refused: %" PRIu64 "; left out for their age: %" PRIu64 "\n",
               work->delivered, work->refused, work->sent.left_out);
    if (work->sent.damaged + work->sent.gone)
        buf_printf(out, "damaged: %" PRIu64 " batches, gone meanwhile: %" PRIu64 "\n", work->sent.damaged,
                   work->sent.gone);
    return work->refused || work->sent.damaged ? 1 : 0;
}

static int send_step(struct replay_work *work, const _Atomic bool *cancelled, struct buf *out)
{
    struct sum sum = {0};
    int err = work->has_message ? 0 : gather(work);
    if (err == -ENOENT)
        return finish(work, out);
    if (err < 0)
        return err;
    if (work->message.len) {
        bool is_loki = work->repost.kind == BACKEND_LOKI;
        err = is_loki ? post_streams(work, cancelled, &sum, out)
                      : post_message(work, buf_bytes(&work->message), cancelled, &sum, out);
    }
    if (err == -EAGAIN || err == -ECANCELED)
        return JOB_GOES_ON; /* the message stays; a job that is cancelled ends after this step */
    if (err < 0)
        return err;
    work->has_message = false;
    work->after = work->message_after;
    work->delivered += sum.delivered;
    work->refused += sum.refused;
    err = note(work, &sum, false);
    if (err < 0)
        return err;
    tell_progress(work, out);
    keep_pace(work, cancelled);
    return JOB_GOES_ON;
}

/* ---- the job */

int replay_work_step(void *ctx, const _Atomic bool *cancelled, struct buf *out)
{
    struct replay_work *work = ctx;
    int err = work->phase == REPLAY_LOOKS ? look(work, cancelled, out) : send_step(work, cancelled, out);
    if (err >= JOB_GOES_ON)
        return err;
    buf_printf(out, "failed: %s\n", strerror(-err));
    return 1;
}

void replay_work_free(void *ctx)
{
    struct replay_work *work = ctx;
    buffer_reader_close(work->reader);
    if (work->has_repost)
        repost_fini(&work->repost);
    buf_fini(&work->block);
    buf_fini(&work->raw);
    buf_fini(&work->message);
    free(work);
}
