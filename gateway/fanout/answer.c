#include "gateway/fanout/answer.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "gateway/fanout/ahead.h"
#include "gateway/fanout/behind.h"
#include "gateway/fanout/body.h"
#include "gateway/fanout/pace.h"

enum { TRY_AGAIN_MS = 1000 };
enum { COUNT_NO_ANSWER = VERDICT_AWAY + 1, COUNT_NOT_SENT = VERDICT_AWAY + 2 };

/* The part was answered for good: the next one starts with a clean slate. */
static void forget_fails(struct lane *lane)
{
    lane->fails = lane->silent = 0;
    lane->failing_since_ns = 0;
    backoff_reset(&lane->backoff);
}

static void try_next(struct lane *lane, int err)
{
    struct part part;
    if (err < 0)
        lane_wait(lane, TRY_AGAIN_MS);
    else if (halving_next(&lane->halving, &part))
        lane_wait(lane, 0);
    else
        lane_finish(lane);
}

static void note_failure(struct lane *lane)
{
    lane->is_slow = true;
    if (!lane->failing_since_ns)
        lane->failing_since_ns = clock_mono_ns();
}

static void take(struct lane *lane)
{
    struct lane_host *host = lane->host;
    struct part part;
    if (halving_next(&lane->halving, &part))
        behind_take(lane, part);
    for (size_t i = 0; i < lane->row_count && host->isolation->count; i++)
        isolation_absolve(host->isolation, pace_origin(lane->rows[i].origin));
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
    snprintf(text, sizeof text, "%s %d %.*s", verdict_protocol(lane->host->kind), http->status, len,
             len ? (const char *)http->body.ptr : "");
    health_set_error(lane->host->health, text);
}

/* Prometheus' bound is the same for all series, so what it says of one sample holds for all of that time: a
 * scrape of a node whose clock is behind costs one request and not two for each of its samples. */
static bool is_out_of_bounds(struct lane *lane, const struct verdict_answer *http)
{
    struct part part;
    return lane->host->kind == BACKEND_REMOTE_WRITE && http->status == 400 &&
           lane->halving.doubt_count == 0 && verdict_is_out_of_bounds(http->body) &&
           halving_next(&lane->halving, &part) && ahead_has_one_time(lane, part);
}

static void refuse(struct lane *lane, const struct verdict_answer *http)
{
    int err = 0;
    size_t before = lane->halving.work_count;
    lane->is_slow = true;
    show_error(lane, http);
    if (verdict_is_of_backend(lane->host->kind,
                              http->status)) /* told to drop on client errors: the data is not looked at */
        err = halving_settle(&lane->halving, PART_DROPPED, http->status, http->body);
    else if (is_out_of_bounds(lane, http))
        err = halving_settle(&lane->halving, PART_REFUSED, http->status, http->body);
    else if (halving_must_count(&lane->halving))
        err = body_count(lane, http->status, http->body);
    if (err == 0 && lane->halving.work_count == before &&
        !verdict_is_of_backend(lane->host->kind, http->status))
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
        isolation_suspect(lane->host->isolation, pace_origin(lane->rows[i].origin), clock_mono_ns());
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
    if (lane_keeps_notes(lane) && verdict_leaves_doubt(http->status))
        (void)halving_doubt(&lane->halving);
    if (may_be_data && lane->fails++ == 0)
        lane->first_fail_ns = now;
    bool others_pass = got_through > lane->first_fail_ns;
    lane->is_slow = true;
    if (may_be_data && !retry_after_ms)
        note_failure(lane);
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
    lane_wait(lane, retry_after_ms ? retry_after_ms : backoff_next(&lane->backoff));
}

static void tell_away(struct lane *lane, const char *error, int64_t retry_after_ms, int64_t most_ms)
{
    char quoted[300];
    if (health_set_away(lane->host->health, error, retry_after_ms, most_ms, clock_mono_ns()))
        log_warn("a backend is away; its data stays in the buffer", "signal=%s backend=%s error=%s",
                 telemetry_name(lane->host->signal), lane->host->config->name,
                 log_quote(error, quoted, sizeof quoted));
}

static void hold(struct lane *lane, const struct verdict_answer *http, int64_t retry_after_ms)
{
    char error[HEALTH_MAX_ERROR];
    int len = http->body.len < 150 ? (int)http->body.len : 150;
    snprintf(error, sizeof error, "%s %d: the backend does not take requests here: %.*s",
             verdict_protocol(lane->host->kind), http->status, len, len ? (const char *)http->body.ptr : "");
    tell_away(lane, error, retry_after_ms, HEALTH_MOST_WAIT_MS);
    lane_wait(lane, 0); /* health says when */
}

/* No answer. What surely did not reach it is not in doubt. A connection that was lost once is tried again at
 * once: a backend that closes idle connections is not away. */
static void miss(struct lane *lane, const struct sender_answer *answer)
{
    bool may_be_in = answer->outcome == SENDER_NO_ANSWER;
    stats_add(lane->host->requests[may_be_in ? COUNT_NO_ANSWER : COUNT_NOT_SENT], 1);
    if (may_be_in) {
        stats_add(lane->host->in_doubt, 1);
        if (lane_keeps_notes(lane))
            (void)halving_doubt(&lane->halving);
    }
    note_failure(lane);
    if (!may_be_in || answer->timed_out || lane->silent++ > 0)
        tell_away(lane, answer->error, 0, HEALTH_MOST_SILENCE_MS);
    else
        health_set_error(lane->host->health, answer->error);
    lane_wait(lane, 0);
}

static void tell_back(struct lane *lane)
{
    if (health_set_answered(lane->host->health))
        log_info("a backend is back", "signal=%s backend=%s", telemetry_name(lane->host->signal),
                 lane->host->config->name);
}

void answer_take(struct lane *lane, const struct sender_answer *answer)
{
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
    if (answer->date_ns)
        health_set_clock(lane->host->health, answer->date_ns, clock_wall_ns());
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
