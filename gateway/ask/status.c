#include "gateway/ask/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/ask/report.h"
#include "gateway/metrics.h"

enum { MOST_AGENTS = 4096 };

struct status_quota { /* what was told of it */
    uint64_t dropped_batches, full_answers;
    int64_t at_ns; /* monotonic; 0: never */
};

struct status {
    const char *name;          /* borrowed */
    struct web_parts *parts;   /* borrowed */
    struct replicas *replicas; /* borrowed */
    uv_timer_t timer;
    int64_t behind_ns[REPORT_MAX_BACKENDS]; /* monotonic: when it was logged last; 0: it is not behind */
    char wal_readers[TELEMETRY_COUNT][sizeof((struct buffer_state *)0)->wal_reader]; /* told of; "": nobody */
    struct status_quota quotas[TELEMETRY_COUNT];
    struct rate rates[REPORT_MAX_BACKENDS]; /* the backends' order is that of the configuration */
    bool was_away[REPORT_MAX_BACKENDS];     /* when its rate was observed last */
    struct fanout_view views[REPORT_MAX_BACKENDS];
    struct rate_view rate_views[REPORT_MAX_BACKENDS];
    const struct discarded *discarded[REPORT_MAX_BACKENDS]; /* borrowed */
    struct receive_agent agents[MOST_AGENTS];
};

static size_t read_views(struct status *status)
{
    struct fanout *fanout = status->parts->fanout;
    return fanout ? fanout_views(fanout, status->views, REPORT_MAX_BACKENDS) : 0;
}

/* A point is added when the period is over, and when the backend went or came back. */
static void observe(struct status *status, size_t i, bool is_due)
{
    const struct fanout_view *view = &status->views[i];
    const struct buffer_ledger *ledger = &view->ledger;
    struct buffer_state state;
    buffer_get_state(status->parts->buffers[view->signal], &state);
    struct rate_point point = {.at_ns = clock_mono_ns(),
                               .settled = ledger->accepted - ledger->buffered,
                               .committed_bytes = state.committed_bytes,
                               .lag_bytes = ledger->lag_bytes,
                               .held_bytes = buffer_held_bytes(ledger->lag_rows, ledger->lag_bytes)};
    bool has_turned = view->away != status->was_away[i];
    if (has_turned) /* what was before says nothing of what comes */
        status->rates[i] = (struct rate){0};
    if (has_turned && status->behind_ns[i])
        status->behind_ns[i] = point.at_ns - (STATUS_LOG_S - STATUS_TURNED_S) * INT64_C(1000000000);
    status->was_away[i] = view->away;
    status->rate_views[i] = rate_get(&status->rates[i], &point);
    if (is_due || has_turned)
        rate_add(&status->rates[i], point);
}

static void fill(struct status *status, bool is_due, struct report *report);

static int64_t as_ms(double seconds)
{
    return seconds < 0 ? -1000 : (int64_t)(seconds * 1000);
}

static void publish_rates(struct status *status, const struct report *report)
{
    struct stats *stats = status->parts->stats;
    for (size_t i = 0; i < report->backend_count; i++) {
        const struct fanout_view *view = &report->backends[i];
        const char *signal = telemetry_name(view->signal);
        stats_set(stats_cell(stats, GATEWAY_SETTLE_RATE, signal, view->name),
                  (int64_t)report->rates[i].bytes_per_s);
        stats_set(stats_cell(stats, GATEWAY_CATCH_UP, signal, view->name), as_ms(report_end_s(report, i)));
    }
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        stats_set(stats_cell(stats, GATEWAY_RUNWAY, telemetry_name((enum telemetry)s)),
                  as_ms(report_runway_s(report, (enum telemetry)s)));
}

static void log_backend(struct status *status, const struct report *report, size_t i)
{
    const struct fanout_view *view = &report->backends[i];
    const struct rate_view *rate = &report->rates[i];
    int64_t now_ns = clock_mono_ns(), oldest_ns = view->ledger.oldest_committed_ns;
    int64_t lag_s = oldest_ns ? (report->now_ns - oldest_ns) / 1000000000 : 0;
    bool is_behind = lag_s >= STATUS_BEHIND_S;
    if (!is_behind && status->behind_ns[i] && lag_s < STATUS_BEHIND_S / 2) {
        log_info("a backend has caught up", "signal=%s backend=%s", telemetry_name(view->signal), view->name);
        status->behind_ns[i] = 0;
    }
    if (!is_behind ||
        (status->behind_ns[i] && now_ns - status->behind_ns[i] < STATUS_LOG_S * INT64_C(1000000000)))
        return;
    status->behind_ns[i] = now_ns;
    log_warn(
        "a backend is behind",
        "signal=%s backend=%s state=%s lag_batches=%lld lag_bytes=%lld lag_s=%lld settled_bytes_per_s=%.0f "
        "caught_up_in_s=%.0f runway_s=%.0f",
        telemetry_name(view->signal), view->name, view->away ? "away" : "catching_up",
        (long long)view->ledger.lag_rows, (long long)view->ledger.lag_bytes, (long long)lag_s,
        rate->bytes_per_s, report_end_s(report, i), report_runway_s(report, view->signal));
}

/* Who keeps a WAL from being written back is named when that begins and when it ends. */
static void tell_wal_reader(struct status *status, enum telemetry signal, const struct buffer_state *state)
{
    char *told = status->wal_readers[signal], quoted[300];
    struct stats *stats = status->parts->stats;
    const char *name = telemetry_name(signal);
    if (strcmp(told, state->wal_reader) == 0)
        return;
    if (told[0])
        stats_set(stats_cell(stats, GATEWAY_WAL_HELD, name, told), 0);
    if (state->wal_reader[0]) {
        stats_set(stats_cell(stats, GATEWAY_WAL_HELD, name, state->wal_reader), 1);
        log_warn("a reader keeps the WAL from being written back; at its limit batches are pushed back",
                 "signal=%s reader=%s wal_bytes=%lld", name,
                 log_quote(state->wal_reader, quoted, sizeof quoted), (long long)state->wal_bytes);
    } else {
        log_info("the WAL is written back again", "signal=%s reader=%s", name,
                 log_quote(told, quoted, sizeof quoted));
    }
    memcpy(told, state->wal_reader, sizeof state->wal_reader);
}

/* What a quota costs is told when that begins, and every minute while it goes on. */
static void tell_quota(struct status *status, enum telemetry signal, const struct buffer_state *state)
{
    struct status_quota *told = &status->quotas[signal];
    int64_t now_ns = clock_mono_ns();
    bool is_new =
        state->dropped_batches != told->dropped_batches || state->full_answers != told->full_answers;
    if (!is_new || (told->at_ns && now_ns - told->at_ns < STATUS_LOG_S * INT64_C(1000000000)))
        return;
    log_warn(
        "a buffer is at a quota: batches are pushed back, or the oldest dropped",
        "signal=%s pushed_back=%llu dropped_batches=%llu file_bytes=%lld wal_bytes=%lld quota_bytes=%lld "
        "quota_age_s=%lld",
        telemetry_name(signal), (unsigned long long)(state->full_answers - told->full_answers),
        (unsigned long long)(state->dropped_batches - told->dropped_batches), (long long)state->file_bytes,
        (long long)state->wal_bytes, (long long)state->quota_bytes, (long long)(state->quota_age_ms / 1000));
    *told = (struct status_quota){state->dropped_batches, state->full_answers, now_ns};
}

static void on_timer(uv_timer_t *timer)
{
    struct status *status = timer->data;
    struct report report;
    fill(status, true, &report);
    publish_rates(status, &report);
    for (size_t i = 0; i < report.backend_count; i++)
        log_backend(status, &report, i);
    for (int s = 0; s < TELEMETRY_COUNT; s++) {
        tell_quota(status, (enum telemetry)s, &report.buffers[s]);
        tell_wal_reader(status, (enum telemetry)s, &report.buffers[s]);
    }
}

static void fill(struct status *status, bool is_due, struct report *report)
{
    struct web_parts *parts = status->parts;
    *report = (struct report){.name = status->name,
                              .is_draining = parts->draining,
                              .now_ns = clock_wall_ns(),
                              .agents = status->agents,
                              .backends = status->views,
                              .rates = status->rate_views,
                              .discarded = status->discarded,
                              .backend_count = read_views(status)};
    if (parts->receive)
        report->agent_count = receive_agents(parts->receive, status->agents, MOST_AGENTS);
    for (size_t i = 0; i < report->backend_count; i++) {
        observe(status, i, is_due);
        status->discarded[i] =
            discard_watch_get(parts->discards, status->views[i].signal, status->views[i].name);
    }
    for (int s = 0; s < TELEMETRY_COUNT; s++)
        if (parts->buffers[s])
            buffer_get_state(parts->buffers[s], &report->buffers[s]);
}

/* ---- requests */

static bool wants_json(const struct http_request *request)
{
    char format[16];
    const char *value = http_request_param(request, "format", format, sizeof format);
    return value && strcmp(value, "json") == 0;
}

static const char *type_of(bool is_json)
{
    return is_json ? "application/json" : "text/plain; charset=utf-8";
}

/* The status, each line with the gateway's name. */
static int name_lines(const struct report *report, struct buf *out)
{
    struct buf text;
    buf_init(&text, REPORT_MAX_BYTES);
    int err = report_status(report, &text);
    const char *at = (const char *)text.ptr, *end = at + text.len;
    while (err == 0 && at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = newline ? (size_t)(newline - at) + 1 : (size_t)(end - at);
        err = *at == 'g' ? 0 : buf_printf(out, "%s: ", report->name);
        if (err == 0)
            err = buf_append(out, at, len);
        at += len;
    }
    buf_fini(&text);
    return err;
}

/* The answer of this gateway: the status, with the text. */
static int tell(void *ctx, const struct question *question, struct buf *text)
{
    struct report report;
    bool closes = true;
    int err = 0;
    fill(ctx, false, &report);
    for (size_t i = 0; i < report.backend_count; i++)
        closes = closes && report_imbalance(&report.backends[i].ledger) == 0;
    switch (question->verb) {
    case QUESTION_STATUS:
        err = question->is_json ? report_status_json(&report, text) : name_lines(&report, text);
        closes = true;
        break;
    case QUESTION_REFUSED:
        return 503; /* refused_errands.c tells */
    case QUESTION_LEDGER:
        err = question->is_json ? report_ledger_json(&report, text) : report_ledger(&report, text);
        break;
    }
    return err < 0 ? 503 : closes ? 200 : 409;
}

static int tell_gateway(void *ctx, const struct receive_question *asked)
{
    return tell(ctx, asked->question, asked->text);
}

/* ---- of all gateways */

struct asked {
    struct http_request *request; /* borrowed; NULL once the peer has gone */
    struct status *owner;         /* borrowed */
    struct question question;
    bool is_local_only;
    int status;      /* of our own answer */
    struct buf text; /* likewise */
};

static void on_gone(void *ctx)
{
    struct asked *asked = ctx;
    asked->request = NULL;
}

/* What one of the others said, as an element of the list "others", which is the last of our own document. */
static int add_json(struct buf *out, const char *url, int status, struct bytes text)
{
    bool is_first = out->len && out->ptr[out->len - 1] == '[';
    int err = is_first ? 0 : buf_append_string(out, ",");
    while (text.len && text.ptr[text.len - 1] == '\n')
        text.len--;
    if (err == 0 && status != 200 && status != 409)
        return buf_printf(out, "{\"gateway\":\"%s\",\"error\":\"no answer\"}", url);
    return err < 0 ? err : buf_append(out, text.ptr, text.len);
}

/* Our own document, open for the others. */
static int begin_json(struct buf *out, struct bytes text)
{
    while (text.len && text.ptr[text.len - 1] != '}')
        text.len--;
    int err = text.len ? buf_append(out, text.ptr, text.len - 1) : -EBADMSG;
    return err < 0 ? err : buf_append_string(out, ",\"others\":[");
}

static int add_text(struct buf *out, const char *url, int status, struct bytes text)
{
    if (status != 200 && status != 409)
        return buf_printf(out, "gateway %s: no answer\n", url);
    return buf_append(out, text.ptr, text.len);
}

static void on_answers(void *ctx, const struct replica_answer *answers, size_t count)
{
    struct asked *asked = ctx;
    bool is_json = asked->question.is_json && count, are_all = asked->status == 200;
    struct buf out;
    buf_init(&out, REPORT_MAX_BYTES);
    int (*add)(struct buf * out, const char *url, int status, struct bytes text) =
        is_json ? add_json : add_text;
    struct bytes own = buf_bytes(&asked->text);
    int err = is_json ? begin_json(&out, own) : add(&out, "", asked->status, own);
    for (size_t i = 0; err == 0 && i < count; i++) {
        err = add(&out, answers[i].url, answers[i].status, buf_bytes(&answers[i].text));
        are_all = are_all && answers[i].status == 200;
    }
    if (err == 0 && is_json)
        err = buf_append_string(&out, "]}\n");
    if (asked->request && err < 0)
        http_answer_text(asked->request, 503, "out of memory\n");
    else if (asked->request)
        http_answer(asked->request, are_all || asked->question.verb == QUESTION_STATUS ? 200 : 409, NULL,
                    type_of(asked->question.is_json), buf_bytes(&out));
    buf_fini(&out);
    buf_fini(&asked->text);
    free(asked);
}

static bool is_local_only(const struct http_request *request)
{
    char value[16];
    return http_request_param(request, "local", value, sizeof value) != NULL;
}

/* Our own answer is made, the others are asked. */
static void on_refreshed(void *ctx, bool is_closed)
{
    struct asked *asked = ctx;
    if (is_closed) {
        asked->status = 503;
        on_answers(asked, NULL, 0);
        return;
    }
    asked->status = tell(asked->owner, &asked->question, &asked->text);
    if (asked->is_local_only || replicas_ask(asked->owner->replicas, &asked->question, on_answers, asked) < 0)
        on_answers(asked, NULL, 0);
}

static void serve(struct status *status, struct http_request *request, enum question_verb verb)
{
    struct asked *asked = calloc(1, sizeof *asked);
    if (!asked) {
        http_answer_text(request, 503, "out of memory\n");
        return;
    }
    asked->request = request;
    asked->question = (struct question){.verb = verb, .is_json = wants_json(request)};
    buf_init(&asked->text, REPORT_MAX_BYTES);
    asked->owner = status;
    asked->is_local_only = is_local_only(request);
    http_request_on_gone(request, on_gone, asked);
    if (verb == QUESTION_LEDGER)
        discard_watch_refresh(status->parts->discards, on_refreshed, asked);
    else
        on_refreshed(asked, false);
}

static void serve_status(struct http_request *request, void *ctx)
{
    serve(ctx, request, QUESTION_STATUS);
}

static void serve_ledger(struct http_request *request, void *ctx)
{
    serve(ctx, request, QUESTION_LEDGER);
}

/* ---- life */

int status_new(struct control *control, const char *name, struct web_parts *parts, struct replicas *replicas,
               struct status **ret_status)
{
    struct status *status = calloc(1, sizeof *status);
    struct report report;
    if (!status)
        return -ENOMEM;
    status->name = name;
    status->parts = parts;
    status->replicas = replicas;
    receive_on_question(parts->receive, QUESTION_STATUS, tell_gateway, status);
    receive_on_question(parts->receive, QUESTION_LEDGER, tell_gateway, status);
    uv_timer_init(&parts->loop->uv, &status->timer);
    status->timer.data = status;
    uv_timer_start(&status->timer, on_timer, RATE_PERIOD_MS, RATE_PERIOD_MS);
    fill(status, true, &report);
    control_add(control, "GET", "/status", serve_status, status);
    control_add(control, "GET", "/ledger", serve_ledger, status);
    *ret_status = status;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void status_close(struct status *status)
{
    if (status)
        uv_close((uv_handle_t *)&status->timer, on_closed);
}
