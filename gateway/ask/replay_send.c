#include "gateway/ask/replay_send.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "gateway/ask/job.h"
#include "gateway/ask/record_print.h"
#include "gateway/ask/replay_rows.h"
#include "gateway/ask/waited.h"

enum { MOST_TOLD = 100, WAIT_MS = 100, MS = 1000000 };

void replay_send_tell(const struct replay_work *work, struct buf *out)
{
    int64_t now_ns = clock_mono_ns(), left_ms = -1;
    int64_t ms = ((now_ns > work->paced_ns ? now_ns : work->paced_ns) - work->started_ns) / MS;
    uint64_t bytes = work->sent.raw_bytes - work->begun_bytes;
    if (bytes && work->planned.raw_bytes >= work->sent.raw_bytes)
        left_ms =
            (int64_t)((double)(work->planned.raw_bytes - work->sent.raw_bytes) / (double)bytes * (double)ms);
    buf_printf(out, "progress %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 "\n",
               work->sent.rows, work->planned.rows, bytes, work->delivered, ms, left_ms);
}

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
        err = replay_rows_next(work, &at, &seen, row);
        if (err == 0 && !may_join(work, row))
            break;
        if (err == 0)
            err = replay_rows_take(work, row, &seen, &work->message);
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
    char words[RECORD_PRINT_WORDS];
    if (result->refused && work->told++ < MOST_TOLD)
        buf_printf(out, "refused: %" PRIu64 " records of batches %" PRId64 " to %" PRId64 ": %s\n",
                   result->refused, work->rows[0].id, work->rows[work->row_count - 1].id,
                   record_print_words(result->words, words));
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
    buf_init(&one, REPLAY_MAX_RAW);
    for (size_t i = 0, same; err == 0 && i < count; i += same) {
        same = replay_streams_same(streams + i, count - i);
        err = replay_streams_write(streams + i, same, &one);
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

/* What was sent is paid for by paced_ns. */
static void charge_pace(struct replay_work *work)
{
    int64_t now_ns = clock_mono_ns();
    if (work->rate <= 0)
        return;
    if (work->paced_ns < now_ns - INT64_C(1000) * MS)
        work->paced_ns = now_ns - INT64_C(1000) * MS; /* what was not used does not add up */
    work->paced_ns += (int64_t)((double)work->message.len / (double)work->rate * 1e9);
}

/* Until the rate allows the next message. */
static void keep_pace(const struct replay_work *work, const _Atomic bool *cancelled)
{
    for (int64_t left_ms;
         !atomic_load(cancelled) && (left_ms = (work->paced_ns - clock_mono_ns()) / MS) >= 0;)
        (void)poll(NULL, 0, left_ms < WAIT_MS ? (int)left_ms + 1 : WAIT_MS);
}

static int finish(struct replay_work *work, struct buf *out)
{
    int err = note(work, &(struct sum){0}, true);
    if (err < 0)
        return err;
    work->is_done = true;
    buf_printf(out,
               "replayed: %" PRIu64 " records; refused: %" PRIu64 "; left out for their age: %" PRIu64 "\n",
               work->delivered, work->refused, work->sent.left_out);
    if (work->sent.damaged + work->sent.gone)
        buf_printf(out, "damaged: %" PRIu64 " batches, gone meanwhile: %" PRIu64 "\n", work->sent.damaged,
                   work->sent.gone);
    return work->refused || work->sent.damaged ? 1 : 0;
}

int replay_send_step(struct replay_work *work, const _Atomic bool *cancelled, struct buf *out)
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
    charge_pace(work);
    replay_send_tell(work, out);
    keep_pace(work, cancelled);
    return JOB_GOES_ON;
}
