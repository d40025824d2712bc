#include "gateway/fanout/lane.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "gateway/fanout/ahead.h"
#include "gateway/fanout/answer.h"
#include "gateway/fanout/behind.h"
#include "gateway/fanout/body.h"
#include "gateway/fanout/pace.h"

#define MS INT64_C(1000000)
enum { TRY_AGAIN_MS = 1000, MOST_NOTE = 16 << 20, MOST_BODY = 512 << 20 };

static void set_state(struct lane *lane, enum lane_state state)
{
    lane->state = state;
}

void lane_wait(struct lane *lane, int64_t ms)
{
    join_clear(&lane->join, 0);
    buf_release(&lane->packed, 0);
    buf_release(&lane->piece, 0);
    lane->due_ns = clock_mono_ns() + ms * MS;
    set_state(lane, LANE_READY);
}

/* ---- life */

static struct lane *make(struct lane_host *host, struct buffer_row *rows, size_t count)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane) {
        free(rows);
        return NULL;
    }
    lane->host = host;
    lane->rows = rows;
    lane->row_count = count;
    lane->fates = calloc(count, sizeof *lane->fates);
    lane->is_whole = calloc(count, sizeof *lane->is_whole);
    for (size_t i = 0; i < count; i++)
        lane->slots |= UINT64_C(1) << rows[i].slot;
    backoff_init(&lane->backoff, HEALTH_FIRST_WAIT_MS, HEALTH_MOST_WAIT_MS, (uint64_t)clock_mono_ns());
    join_init(&lane->join, MOST_BODY);
    payload_init(&lane->payload, host->reader, host->translate);
    buf_init(&lane->piece, MOST_BODY);
    buf_init(&lane->packed, MOST_BODY);
    buf_init(&lane->note, MOST_NOTE);
    if (!lane->fates || !lane->is_whole) {
        lane_free(lane);
        return NULL;
    }
    return lane;
}

void lane_free(struct lane *lane)
{
    if (!lane)
        return;
    sender_abort(lane->host->sender, &lane->post);
    settle_fini(&lane->settle);
    halving_fini(&lane->halving);
    join_fini(&lane->join);
    payload_fini(&lane->payload);
    buf_fini(&lane->piece);
    buf_fini(&lane->packed);
    buf_fini(&lane->note);
    free(lane->fates);
    free(lane->is_whole);
    free(lane->rows);
    free(lane);
}

int lane_new(struct lane_host *host, struct buffer_row *rows, size_t count, struct lane **ret_lane)
{
    struct lane *lane = make(host, rows, count);
    if (!lane)
        return -ENOMEM;
    if (halving_init(&lane->halving, count) < 0) {
        lane_free(lane);
        return -ENOMEM;
    }
    *ret_lane = lane;
    return 0;
}

/* The rows that a note names, as they are in the buffer now. */
static int find_rows(struct lane *lane, const struct doubt_row *named)
{
    for (size_t i = 0; i < lane->row_count; i++) {
        struct buffer_row *row = &lane->rows[i];
        int err = buffer_reader_next(lane->host->reader, named[i].slot, named[i].id - 1, row);
        if (err < 0 && err != -ENOENT)
            return err;
        if (err == -ENOENT || row->id != named[i].id) {
            *row = (struct buffer_row){.id = named[i].id, .slot = named[i].slot};
            lane->fates[i] = ROW_GONE;
        }
        lane->slots |= UINT64_C(1) << row->slot;
    }
    return 0;
}

int lane_resume(struct lane_host *host, struct bytes note, struct lane **ret_lane)
{
    struct doubt_row *named;
    struct halving halving;
    int err = doubt_read(note, &named, &halving);
    if (err < 0)
        return err;
    struct buffer_row *rows = calloc(halving.row_count, sizeof *rows);
    struct lane *lane = rows ? make(host, rows, halving.row_count) : NULL;
    if (!lane) {
        halving_fini(&halving);
        free(named);
        return -ENOMEM;
    }
    lane->halving = halving;
    lane->slots = 0;
    lane->is_noted = true;
    lane->is_slow = true;
    err = find_rows(lane, named);
    free(named);
    if (err < 0) {
        lane_free(lane);
        return err;
    }
    *ret_lane = lane;
    return 0;
}

/* ---- settlements: notes, the end, retirement */

static struct lane *lane_of_letter(struct letter *letter)
{
    char *at =
        (char *)letter - offsetof(struct lane, settlement) - offsetof(struct buffer_settlement, letter);
    return (struct lane *)(void *)at;
}

static void settle(struct lane *lane, enum lane_state state, void (*open)(struct letter *))
{
    struct buffer_settlement *s = &lane->settlement;
    s->letter.open = open;
    s->reply_to = lane->host->mailbox;
    s->backend = lane->host->config->name;
    s->posting_key = lane_keeps_notes(lane) ? lane->rows[0].id : 0;
    set_state(lane, state);
    buffer_settle(lane->host->buffer, s);
}

void lane_warn(const struct lane *lane, int error)
{
    static struct log_limit limit;
    unsigned held_back;
    if (log_limit_pass(&limit, 10, &held_back))
        log_warn("the buffer did not commit a settlement", "signal=%s backend=%s error=%d held_back=%u",
                 telemetry_name(lane->host->signal), lane->host->config->name, -error, held_back);
}

static void on_answered(struct sender_post *post, const struct sender_answer *answer)
{
    answer_take((struct lane *)(void *)((char *)post - offsetof(struct lane, post)), answer);
}

static void post_body(struct lane *lane)
{
    lane->post.done = on_answered;
    set_state(lane, LANE_POSTING);
    if (sender_start(lane->host->sender, &lane->post) < 0)
        lane_wait(lane, TRY_AGAIN_MS);
    else
        stats_add(lane->host->sent_bytes, (int64_t)lane->post.body.len);
}

static void on_noted(struct letter *letter)
{
    struct lane *lane = lane_of_letter(letter);
    if (lane->settlement.error < 0) {
        lane_warn(lane, lane->settlement.error);
        lane_wait(lane, TRY_AGAIN_MS);
        return;
    }
    lane->is_noted = true;
    post_body(lane);
}

/* The note is committed before the request is posted: a restart knows what is in doubt. */
static void write_note(struct lane *lane)
{
    buf_clear(&lane->note);
    if (doubt_write(lane->rows, &lane->halving, true, &lane->note) < 0) {
        lane_wait(lane, TRY_AGAIN_MS);
        return;
    }
    lane->settlement = (struct buffer_settlement){.posting = buf_bytes(&lane->note)};
    settle(lane, LANE_NOTING, on_noted);
}

static void count_untranslated(struct lane *lane)
{
    for (int reason = TRANSLATE_NONE + 1; reason < TRANSLATE_REASON_COUNT; reason++)
        stats_add(lane->host->untranslated[reason], (int64_t)lane->settle.untranslated[reason]);
}

static void isolate_refused(struct lane *lane)
{
    for (size_t i = 0; i < lane->row_count; i++) {
        if (lane->settle.is_refused[i])
            isolation_add(lane->host->isolation, pace_origin(lane->rows[i].origin), clock_mono_ns());
    }
}

static void tell_refused(const struct lane *lane)
{
    static struct log_limit limit;
    unsigned held_back;
    char words[300];
    if (lane->settle.refused_count == 0 || !log_limit_pass(&limit, 10, &held_back))
        return;
    const struct buffer_refused *first = &lane->settle.refused[0];
    log_warn("a backend did not take everything",
             "signal=%s backend=%s origin=%s entries=%zu first=%s status=%d words=%s held_back=%u",
             telemetry_name(lane->host->signal), lane->host->config->name, first->origin,
             lane->settle.refused_count, buffer_cause_name(first->cause), first->status,
             log_quote(first->words, words, sizeof words), held_back);
}

static void on_settled(struct letter *letter)
{
    struct lane *lane = lane_of_letter(letter);
    if (lane->settlement.error < 0) {
        lane_warn(lane, lane->settlement.error);
        settle_fini(&lane->settle);
        lane_wait(lane, TRY_AGAIN_MS);
        return;
    }
    count_untranslated(lane);
    isolate_refused(lane);
    tell_refused(lane);
    lane->moved = true;
    set_state(lane, LANE_DONE);
}

/* A row that went meanwhile (quota, hand-over) was counted by the buffer. */
static int find_gone(struct lane *lane)
{
    struct buffer_row now;
    for (size_t i = 0; i < lane->row_count; i++) {
        const struct buffer_row *row = &lane->rows[i];
        int err = lane->fates[i] == ROW_GONE
                      ? 0
                      : buffer_reader_next(lane->host->reader, row->slot, row->id - 1, &now);
        if (err < 0 && err != -ENOENT)
            return err;
        if (err == -ENOENT || (lane->fates[i] != ROW_GONE && now.id != row->id))
            lane->fates[i] = ROW_GONE;
    }
    return 0;
}

void lane_finish(struct lane *lane)
{
    set_state(lane, LANE_ANSWERED);
}

bool lane_may_leave(const struct lane *lane)
{
    const uint64_t *counts = lane->settle.counts;
    uint64_t others = 0;
    for (int cause = 0; cause < BUFFER_CAUSES; cause++)
        others += cause != BUFFER_DELIVERED ? counts[cause] : 0;
    return !lane_keeps_notes(lane) && others == 0 && lane->settle.refused_count == 0;
}

void lane_settle(struct lane *lane)
{
    int err = find_gone(lane);
    if (err == 0)
        err = settle_make(lane->rows, lane->fates, lane->is_whole, &lane->halving, &lane->payload,
                          &lane->settle);
    payload_release(&lane->payload);
    if (err < 0) {
        lane_warn(lane, err);
        lane_wait(lane, TRY_AGAIN_MS);
        return;
    }
    const struct settle *s = &lane->settle;
    lane->settlement = (struct buffer_settlement){.moved = s->moved,
                                                  .moved_count = s->moved_count,
                                                  .refused = s->refused,
                                                  .refused_count = s->refused_count};
    memcpy(lane->settlement.counts, s->counts, sizeof s->counts);
    settle(lane, LANE_SETTLING, on_settled);
}

static void on_retired(struct letter *letter)
{
    struct lane *lane = lane_of_letter(letter);
    if (lane->settlement.error < 0)
        lane_warn(lane, lane->settlement.error);
    set_state(lane, LANE_DONE);
}

void lane_retire(struct lane *lane)
{
    if (!lane->is_noted) {
        set_state(lane, LANE_DONE);
        return;
    }
    bool knows_nothing = lane->halving.answer_count == 0 && lane->halving.doubt_count == 0;
    buf_clear(&lane->note);
    if (!knows_nothing && doubt_write(lane->rows, &lane->halving, false, &lane->note) < 0) {
        set_state(lane, LANE_DONE); /* the older note says at least that it was under way */
        return;
    }
    lane->settlement = (struct buffer_settlement){.posting = buf_bytes(&lane->note)};
    settle(lane, LANE_RETIRING, on_retired);
}

/* ---- steps */

void lane_start(struct lane *lane)
{
    struct part part;
    while (halving_next(&lane->halving, &part)) {
        int built = ahead_refuse(lane, part);
        if (built > 0)
            built = behind_cut(lane, part);
        if (built > 0)
            built = body_build(lane, part);
        if (built == 0)
            continue;
        if (built < 0) {
            lane_warn(lane, built);
            lane_wait(lane, TRY_AGAIN_MS);
        } else if (lane_keeps_notes(lane))
            write_note(lane);
        else
            post_body(lane);
        return;
    }
    lane_finish(lane);
}
