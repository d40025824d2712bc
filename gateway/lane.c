#include "gateway/lane.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/snap.h"
#include "base/stats.h"
#include "gateway/pace.h"

#define MS INT64_C(1000000)
enum { TRY_AGAIN_MS = 1000, MOST_NOTE = 16 << 20, MOST_BODY = 512 << 20 };
enum { COUNT_NO_ANSWER = VERDICT_AWAY + 1, COUNT_NOT_SENT = VERDICT_AWAY + 2 };

static void on_answer(struct sender_post *post, const struct sender_answer *answer);

static void set_state(struct lane *lane, enum lane_state state)
{
    lane->state = state;
}

/* READY again; the body is built anew, so that waiting requests hold no memory. */
static void wait_ms(struct lane *lane, int64_t ms)
{
    join_clear(&lane->join, 0);
    buf_release(&lane->packed, 0);
    buf_release(&lane->piece, 0);
    lane->due_ns = clock_mono_ns() + ms * MS;
    set_state(lane, LANE_READY);
}

static bool keeps_notes(const struct lane *lane)
{
    return lane->host->kind == BACKEND_REMOTE_WRITE;
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
    for (size_t i = 0; i < count; i++)
        lane->slots |= UINT64_C(1) << rows[i].slot;
    backoff_init(&lane->backoff, HEALTH_FIRST_WAIT_MS, HEALTH_MOST_WAIT_MS, (uint64_t)clock_mono_ns());
    join_init(&lane->join, MOST_BODY);
    payload_init(&lane->payload, host->reader);
    buf_init(&lane->piece, MOST_BODY);
    buf_init(&lane->packed, MOST_BODY);
    buf_init(&lane->note, MOST_NOTE);
    if (!lane->fates) {
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
    s->posting_key = keeps_notes(lane) ? lane->rows[0].id : 0;
    set_state(lane, state);
    buffer_settle(lane->host->buffer, s);
}

static void warn_of_buffer(const struct lane *lane, int error)
{
    static struct log_limit limit;
    unsigned held_back;
    if (log_limit_pass(&limit, 10, &held_back))
        log_warn("the buffer did not commit a settlement", "signal=%s backend=%s error=%d held_back=%u",
                 telemetry_name(lane->host->signal), lane->host->config->name, -error, held_back);
}

static void post_body(struct lane *lane)
{
    lane->post.done = on_answer;
    set_state(lane, LANE_POSTING);
    if (sender_start(lane->host->sender, &lane->post) < 0)
        wait_ms(lane, TRY_AGAIN_MS);
    else
        stats_add(lane->host->sent_bytes, (int64_t)lane->post.body.len);
}

static void on_noted(struct letter *letter)
{
    struct lane *lane = lane_of_letter(letter);
    if (lane->settlement.error < 0) {
        warn_of_buffer(lane, lane->settlement.error);
        wait_ms(lane, TRY_AGAIN_MS);
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
        wait_ms(lane, TRY_AGAIN_MS);
        return;
    }
    lane->settlement = (struct buffer_settlement){.posting = buf_bytes(&lane->note)};
    settle(lane, LANE_NOTING, on_noted);
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
        warn_of_buffer(lane, lane->settlement.error);
        settle_fini(&lane->settle);
        wait_ms(lane, TRY_AGAIN_MS);
        return;
    }
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

static void settle_all(struct lane *lane)
{
    int err = find_gone(lane);
    if (err == 0)
        err = settle_make(lane->rows, lane->fates, &lane->halving, &lane->payload, &lane->settle);
    payload_release(&lane->payload);
    if (err < 0) {
        warn_of_buffer(lane, err);
        wait_ms(lane, TRY_AGAIN_MS);
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
        warn_of_buffer(lane, lane->settlement.error);
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

/* ---- the body of the next part */

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

/* How many records the next part, a whole row, really has; a row that cannot be walked is answered whole. */
static int count_records(struct lane *lane, int status, struct bytes words)
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
    int err = count_records(lane, 0, bytes_of_string("larger than a request may be, and it cannot be cut"));
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

/* 1: there is a body to post; 0: the part needs none and was answered, or cut; else a negative errno. */
static int build_body(struct lane *lane, struct part part)
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

void lane_start(struct lane *lane)
{
    struct part part;
    while (halving_next(&lane->halving, &part)) {
        int built = build_body(lane, part);
        if (built == 0)
            continue;
        if (built < 0) {
            warn_of_buffer(lane, built);
            wait_ms(lane, TRY_AGAIN_MS);
        } else if (keeps_notes(lane))
            write_note(lane);
        else
            post_body(lane);
        return;
    }
    settle_all(lane);
}

/* ---- answers */

/* The part was answered for good: the next one starts with a clean slate. */
static void forget_fails(struct lane *lane)
{
    lane->fails = lane->silent = 0;
    backoff_reset(&lane->backoff);
}

static void try_next(struct lane *lane, int err)
{
    struct part part;
    if (err < 0)
        wait_ms(lane, TRY_AGAIN_MS);
    else if (halving_next(&lane->halving, &part))
        wait_ms(lane, 0);
    else
        settle_all(lane);
}

static void take(struct lane *lane)
{
    struct lane_host *host = lane->host;
    health_set_delivered(host->health, clock_mono_ns(), clock_wall_ns());
    forget_fails(lane);
    try_next(lane, halving_take(&lane->halving));
}

static void show_error(struct lane *lane, const struct verdict_answer *http)
{
    char text[HEALTH_MAX_ERROR];
    int len = http->body.len < 200 ? (int)http->body.len : 200;
    while (len > 0 && http->body.ptr[len - 1] == '\n')
        len--;
    snprintf(text, sizeof text, "HTTP %d %.*s", http->status, len, len ? (const char *)http->body.ptr : "");
    health_set_error(lane->host->health, text);
}

static void refuse(struct lane *lane, const struct verdict_answer *http)
{
    int err = 0;
    size_t before = lane->halving.work_count;
    lane->is_slow = true;
    show_error(lane, http);
    if (verdict_is_of_backend(http->status)) /* told to drop on client errors: the data is not looked at */
        err = halving_settle(&lane->halving, PART_DROPPED, http->status, http->body);
    else if (halving_must_count(&lane->halving))
        err = count_records(lane, http->status, http->body);
    if (err == 0 && lane->halving.work_count == before && !verdict_is_of_backend(http->status))
        err = halving_refuse(&lane->halving, http->status, http->body);
    forget_fails(lane);
    try_next(lane, err);
}

static bool has_several_slots(const struct lane *lane)
{
    return (lane->slots & (lane->slots - 1)) != 0;
}

/* It fails again and again and nothing else gets through: its origins are tried one by one, so that what is
 * good of them shows whose fault it is. */
static void dissolve(struct lane *lane)
{
    for (size_t i = 0; i < lane->row_count; i++)
        isolation_add(lane->host->isolation, pace_origin(lane->rows[i].origin), clock_mono_ns());
    lane_retire(lane);
}

static bool next_is_one_record(const struct lane *lane)
{
    struct part part;
    if (!halving_next(&lane->halving, &part) || part.rows != 1)
        return false;
    return part.to ? part.to - part.from <= 1 : lane->halving.rows[part.row].records == 1;
}

/* A 5xx that stays while others get through is treated like a refusal. */
static void try_again(struct lane *lane, const struct verdict_answer *http, int64_t retry_after_ms)
{
    int64_t now = clock_mono_ns(), got_through = lane->host->health->delivered_mono_ns;
    bool may_be_data = verdict_may_be_data(lane->host->kind, http);
    show_error(lane, http);
    if (keeps_notes(lane) && verdict_leaves_doubt(http->status))
        (void)halving_doubt(&lane->halving);
    if (may_be_data && lane->fails++ == 0)
        lane->first_fail_ns = now;
    bool others_pass = got_through > lane->first_fail_ns;
    lane->is_slow = true;
    if (may_be_data && lane->is_blamed && !next_is_one_record(lane)) {
        refuse(lane, http);
        return;
    }
    if (may_be_data && lane->fails >= LANE_FAILS_BEFORE_BLAME) {
        if (others_pass) {
            lane->is_blamed = true;
            refuse(lane, http);
            return;
        }
        if (has_several_slots(lane) && halving_is_whole(&lane->halving)) {
            dissolve(lane);
            return;
        }
    }
    wait_ms(lane, retry_after_ms ? retry_after_ms : backoff_next(&lane->backoff));
}

static void tell_away(struct lane *lane, const char *error, int64_t retry_after_ms)
{
    char quoted[300];
    if (health_set_away(lane->host->health, error, retry_after_ms, clock_mono_ns()))
        log_warn("a backend is away; its data stays in the buffer", "signal=%s backend=%s error=%s",
                 telemetry_name(lane->host->signal), lane->host->config->name,
                 log_quote(error, quoted, sizeof quoted));
}

static void hold(struct lane *lane, const struct verdict_answer *http, int64_t retry_after_ms)
{
    char error[HEALTH_MAX_ERROR];
    int len = http->body.len < 150 ? (int)http->body.len : 150;
    snprintf(error, sizeof error, "HTTP %d: the backend does not take requests here: %.*s", http->status, len,
             len ? (const char *)http->body.ptr : "");
    tell_away(lane, error, retry_after_ms);
    wait_ms(lane, 0); /* health says when */
}

/* No answer. What surely did not reach it is not in doubt. A connection that was lost once is tried again at
 * once: a backend that closes idle connections is not away. */
static void miss(struct lane *lane, const struct sender_answer *answer)
{
    bool may_be_in = answer->outcome == SENDER_NO_ANSWER;
    stats_add(lane->host->requests[may_be_in ? COUNT_NO_ANSWER : COUNT_NOT_SENT], 1);
    if (may_be_in) {
        stats_add(lane->host->in_doubt, 1);
        if (keeps_notes(lane))
            (void)halving_doubt(&lane->halving);
    }
    lane->is_slow = true;
    if (!may_be_in || answer->timed_out || lane->silent++ > 0)
        tell_away(lane, answer->error, 0);
    else
        health_set_error(lane->host->health, answer->error);
    wait_ms(lane, 0);
}

static void tell_back(struct lane *lane)
{
    if (health_set_answered(lane->host->health))
        log_info("a backend is back", "signal=%s backend=%s", telemetry_name(lane->host->signal),
                 lane->host->config->name);
}

static void on_answer(struct sender_post *post, const struct sender_answer *answer)
{
    struct lane *lane = (struct lane *)(void *)((char *)post - offsetof(struct lane, post));
    int64_t retry_after_ms;
    stats_observe(lane->host->request_seconds, answer->took_ns);
    if (answer->outcome != SENDER_ANSWERED) {
        miss(lane, answer);
        return;
    }
    enum verdict verdict = verdict_of(lane->host->kind, &answer->http,
                                      lane->host->config->drop_on_client_error, &retry_after_ms);
    stats_add(lane->host->requests[verdict], 1);
    if (verdict != VERDICT_AWAY)
        tell_back(lane);
    switch (verdict) {
    case VERDICT_DELIVERED:
        take(lane);
        break;
    case VERDICT_RETRY:
        try_again(lane, &answer->http, retry_after_ms);
        break;
    case VERDICT_TOO_LARGE:
    case VERDICT_REFUSED:
        refuse(lane, &answer->http);
        break;
    case VERDICT_AWAY:
        hold(lane, &answer->http, retry_after_ms);
        break;
    }
}
