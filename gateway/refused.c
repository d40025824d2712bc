#include "gateway/refused.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/backend.h"
#include "gateway/record_print.h"
#include "gateway/record_source.h"
#include "gateway/repost.h"
#include "gateway/waited.h"

enum { MOST_RAW = 256 << 20, MOST_TEXT = 256 };

enum action { ACTION_LIST, ACTION_SHOW, ACTION_RETRY, ACTION_DROP };

struct refused {
    struct jobs *jobs;                   /* borrowed, as the next two */
    const struct gateway_config *config; /* lives until the loop has ended */
    struct buffer *buffers[TELEMETRY_COUNT];
    struct replicas *replicas; /* borrowed */
};

struct work {
    const struct gateway_config *config; /* borrowed */
    struct buffer *buffers[TELEMETRY_COUNT];
    enum action action;
    bool is_json, is_for_others;
    char backend[MOST_TEXT], origin[MOST_TEXT];
    struct buffer_refusal_filter filter;
    int signal, only; /* the one being read; the only one asked for, or -1 */
    int64_t after;
    struct buffer_reader *reader; /* owned; of signal */
    struct buf raw;
    uint64_t found, delivered, left, failed;
};

/* ---- a change of the buffer, waited for */

static int change(struct work *work, struct buffer_refusal_change *change)
{
    struct waited waited;
    waited_init(&waited, &change->letter);
    change->reply_to = &waited.box;
    buffer_change_refusal(work->buffers[work->signal], change);
    waited_end(&waited);
    return change->error;
}

/* ---- what is done with one record */

static char *head_json(struct work *work, const struct buffer_refusal *refusal, const char *at,
                       const char *source, const char *words)
{
    json_t *json = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:s}", "gateway",
                             work->config->name, "signal", telemetry_name((enum telemetry)work->signal), "id",
                             (json_int_t)refusal->id, "at", at, "backend", refusal->backend, "cause",
                             buffer_cause_name(refusal->cause), "origin", refusal->origin, "source", source,
                             "records", (json_int_t)refusal->records, "row", (json_int_t)refusal->row_id,
                             "status", refusal->status, "words", words);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

/* What is not UTF-8 cannot be said in JSON; `show` says it byte by byte. */
static void print_json(struct work *work, const struct buffer_refusal *refusal, const char *at,
                       const char *source, struct buf *out)
{
    char *text = head_json(work, refusal, at, source, refusal->words);
    if (!text)
        text = head_json(work, refusal, at, "", "(not UTF-8)");
    if (text)
        buf_printf(out, "%s\n", text);
    free(text);
}

static void print_head(struct work *work, const struct buffer_refusal *refusal, struct buf *out)
{
    char at[RECORD_PRINT_TIME], source[RECORD_SOURCE_MAX] = "";
    record_print_time(refusal->at_ns, at);
    if (refusal->source[0])
        snprintf(source, sizeof source, "%s", refusal->source);
    else if (buffer_reader_refusal_payload(work->reader, refusal->id, &work->raw) == 0)
        record_source_of(refusal->format, buf_bytes(&work->raw), source);
    buf_clear(&work->raw);
    if (work->is_json) {
        print_json(work, refusal, at, source, out);
        return;
    }
    buf_printf(out,
               "%s gateway=%s id=%lld at=%s backend=%s cause=%s origin=%s source=\"%s\" records=%llu "
               "row=%lld status=%d "
               "words=%s\n",
               telemetry_name((enum telemetry)work->signal), work->config->name, (long long)refusal->id, at,
               refusal->backend, buffer_cause_name(refusal->cause), refusal->origin, source,
               (unsigned long long)refusal->records, (long long)refusal->row_id, refusal->status,
               refusal->words);
}

struct showing {
    bool is_json;
    struct buf *out;
};

static int show_record(void *ctx, const struct record *record)
{
    struct showing *showing = ctx;
    if (showing->is_json)
        return record_print_json(record, showing->out);
    int err = buf_append_string(showing->out, "  ");
    return err < 0 ? err : record_print_human(record, showing->out);
}

static void show(struct work *work, const struct buffer_refusal *refusal, struct buf *out)
{
    struct showing showing = {work->is_json, out};
    if (buffer_reader_refusal_payload(work->reader, refusal->id, &work->raw) < 0 ||
        (records_show(refusal->format, buf_bytes(&work->raw), show_record, &showing) < 0 && !work->is_json))
        buf_append_string(out, "  (cannot be shown)\n");
}

static const struct gateway_backend_config *find_backend(const struct work *work, const char *name)
{
    const struct conf_list *list = &gateway_config_signal(work->config, work->signal)->backends;
    const struct gateway_backend_config *backends = list->items;
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(backends[i].name, name) == 0)
            return &backends[i];
    return NULL;
}

static int repost(struct work *work, const struct buffer_refusal *refusal, const _Atomic bool *cancelled,
                  struct repost_result *result)
{
    struct repost repost;
    const struct gateway_backend_config *config = find_backend(work, refusal->backend);
    if (!config) {
        snprintf(result->words, sizeof result->words, "this backend is not configured");
        return -ENOENT;
    }
    int err = buffer_reader_refusal_payload(work->reader, refusal->id, &work->raw);
    if (err == 0)
        err = repost_init(&repost, config, backend_kind_of(config, (enum telemetry)work->signal),
                          (enum telemetry)work->signal);
    if (err < 0)
        return err;
    err = repost_message(&repost, refusal->format, buf_bytes(&work->raw), cancelled, result);
    repost_fini(&repost);
    return err;
}

static void retry(struct work *work, const struct buffer_refusal *refusal, const _Atomic bool *cancelled,
                  struct buf *out)
{
    struct repost_result result = {0};
    int err = repost(work, refusal, cancelled, &result);
    if (err == 0) {
        struct buffer_refusal_change settled = {.id = refusal->id,
                                                .delivered = result.delivered,
                                                .left_records = result.refused,
                                                .left = buf_bytes(&result.left),
                                                .status = result.status,
                                                .words = result.words};
        err = change(work, &settled);
    }
    work->failed += err < 0;
    work->delivered += result.delivered;
    work->left += result.refused;
    if (err < 0)
        buf_printf(out, "  not tried to its end: %s%s%s\n", strerror(-err), result.words[0] ? ": " : "",
                   result.words);
    else
        buf_printf(out, "  delivered %llu, refused again %llu%s%s\n", (unsigned long long)result.delivered,
                   (unsigned long long)result.refused, result.refused ? ": " : "",
                   result.refused ? result.words : "");
    buf_fini(&result.left);
}

static void drop(struct work *work, const struct buffer_refusal *refusal, struct buf *out)
{
    struct buffer_refusal_change gone = {.id = refusal->id};
    int err = change(work, &gone);
    work->failed += err < 0;
    if (err < 0)
        buf_printf(out, "  not dropped: %s\n", strerror(-err));
}

static void act(struct work *work, const struct buffer_refusal *refusal, const _Atomic bool *cancelled,
                struct buf *out)
{
    work->found++;
    print_head(work, refusal, out);
    buf_clear(&work->raw);
    switch (work->action) {
    case ACTION_LIST:
        return;
    case ACTION_SHOW:
        show(work, refusal, out);
        return;
    case ACTION_RETRY:
        retry(work, refusal, cancelled, out);
        return;
    case ACTION_DROP:
        drop(work, refusal, out);
        return;
    }
}

/* ---- the job */

static int finish(struct work *work, struct buf *out)
{
    static const char *const done[] = {"kept", "kept", "tried again", "dropped"};
    if (work->is_json) {
        buf_printf(out, "{\"found\":%llu,\"delivered\":%llu,\"refused_again\":%llu,\"failed\":%llu}\n",
                   (unsigned long long)work->found, (unsigned long long)work->delivered,
                   (unsigned long long)work->left, (unsigned long long)work->failed);
        return work->failed ? 1 : 0;
    }
    if (work->is_for_others)
        buf_printf(out, "gateway %s: ", work->config->name);
    buf_printf(out, "%llu %s", (unsigned long long)work->found, done[work->action]);
    if (work->action == ACTION_RETRY)
        buf_printf(out, ": records delivered %llu, refused again %llu", (unsigned long long)work->delivered,
                   (unsigned long long)work->left);
    if (work->failed)
        buf_printf(out, "; %llu failed", (unsigned long long)work->failed);
    buf_append_string(out, "\n");
    return work->failed ? 1 : 0;
}

/* The next signal that was asked for; false when there is none. */
static bool open_next(struct work *work, int *ret_err)
{
    buffer_reader_close(work->reader);
    work->reader = NULL;
    work->after = 0;
    for (work->signal++; work->signal < TELEMETRY_COUNT; work->signal++) {
        if ((work->only >= 0 && work->signal != work->only) || !work->buffers[work->signal])
            continue;
        *ret_err = buffer_reader_open(work->buffers[work->signal], NULL, &work->reader);
        return *ret_err == 0;
    }
    return false;
}

static int step(void *ctx, const _Atomic bool *cancelled, struct buf *out)
{
    struct work *work = ctx;
    struct buffer_refusal refusal;
    int err = 0;
    if (!work->reader && !open_next(work, &err)) {
        work->failed += err < 0;
        return finish(work, out);
    }
    err = buffer_reader_refusal(work->reader, &work->filter, work->after, &refusal);
    if (err == 0) {
        work->after = refusal.id;
        act(work, &refusal, cancelled, out);
    } else if (err == -ENOENT) {
        buffer_reader_close(work->reader);
        work->reader = NULL;
    } else {
        work->failed++;
        return finish(work, out);
    }
    return JOB_GOES_ON;
}

static void free_work(void *ctx)
{
    struct work *work = ctx;
    buffer_reader_close(work->reader);
    buf_fini(&work->raw);
    free(work);
}

/* ---- requests */

static bool set_signal(struct work *work, const char *value)
{
    work->only = -1;
    for (int s = 0; value && s < TELEMETRY_COUNT; s++)
        if (strcmp(value, telemetry_name((enum telemetry)s)) == 0)
            work->only = s;
    return !value || work->only >= 0;
}

static bool set_cause(struct work *work, const char *value)
{
    work->filter.cause = -1;
    for (int c = 0; value && c < BUFFER_CAUSES; c++)
        if (strcmp(value, buffer_cause_name((enum buffer_cause)c)) == 0)
            work->filter.cause = c;
    return !value || work->filter.cause >= 0;
}

static bool take_id(struct http_request *request, struct work *work)
{
    char text[MOST_TEXT], *end;
    const char *value = http_request_param(request, "id", text, sizeof text);
    if (!value)
        return true;
    work->filter.id = strtoll(value, &end, 10);
    return !*end && work->filter.id > 0;
}

static bool wants_json(const struct http_request *request)
{
    char text[16];
    const char *format = http_request_param(request, "format", text, sizeof text);
    return format && strcmp(format, "json") == 0;
}

static const char *find_wrong(struct http_request *request, struct work *work)
{
    char text[MOST_TEXT];
    work->is_json = wants_json(request);
    work->filter.backend = http_request_param(request, "backend", work->backend, sizeof work->backend);
    work->filter.origin = http_request_param(request, "origin", work->origin, sizeof work->origin);
    if (!set_signal(work, http_request_param(request, "signal", text, sizeof text)))
        return "signal: metrics, logs or traces\n";
    if (!set_cause(work, http_request_param(request, "cause", text, sizeof text)))
        return "cause: refused, repeated, overtaken or unresolved\n";
    return take_id(request, work) ? NULL : "id: a number\n";
}

static void serve(struct http_request *request, struct refused *refused, enum action action)
{
    static const struct job_kind kind = {step, free_work};
    struct work *work = calloc(1, sizeof *work);
    const char *wrong = work ? find_wrong(request, work) : "out of memory\n";
    if (wrong) {
        http_answer_text(request, work ? 400 : 503, wrong);
        free(work);
        return;
    }
    work->config = refused->config;
    memcpy(work->buffers, refused->buffers, sizeof work->buffers);
    work->action = action;
    work->is_json = work->is_json && (action == ACTION_LIST || action == ACTION_SHOW);
    work->signal = -1;
    buf_init(&work->raw, MOST_RAW);
    jobs_start(refused->jobs, request, &kind, work);
}

static void serve_list(struct http_request *request, void *ctx)
{
    serve(request, ctx, ACTION_LIST);
}

static void serve_show(struct http_request *request, void *ctx)
{
    serve(request, ctx, ACTION_SHOW);
}

static void serve_retry(struct http_request *request, void *ctx)
{
    serve(request, ctx, ACTION_RETRY);
}

static void serve_drop(struct http_request *request, void *ctx)
{
    serve(request, ctx, ACTION_DROP);
}

/* ---- of other gateways */

static const char *or_any(const char *text)
{
    return text[0] ? text : NULL;
}

static void tell_all(struct work *work, struct buf *text)
{
    static const _Atomic bool never;
    while (work->found < QUESTION_MOST_REFUSED)
        if (step(work, &never, text) != JOB_GOES_ON)
            return;
    if (!work->is_json)
        buf_printf(text, "and perhaps more: ask %s itself\n", work->config->name);
}

/* What another gateway asks of us; on the loop, and bounded by QUESTION_MOST_REFUSED. */
static int tell(void *ctx, const struct question *question, struct buf *text)
{
    struct refused *refused = ctx;
    struct work *work = calloc(1, sizeof *work);
    if (!work)
        return 503;
    work->config = refused->config;
    memcpy(work->buffers, refused->buffers, sizeof work->buffers);
    work->action = ACTION_LIST;
    work->is_json = question->is_json;
    work->is_for_others = true;
    work->signal = -1;
    work->filter.backend = or_any(question->backend);
    work->filter.origin = or_any(question->origin);
    buf_init(&work->raw, MOST_RAW);
    bool is_right = set_signal(work, or_any(question->signal)) && set_cause(work, or_any(question->cause));
    if (is_right)
        tell_all(work, text);
    free_work(work);
    return is_right ? 200 : 400;
}

struct asked {
    struct http_request *request; /* borrowed; NULL once the peer has gone */
    bool is_json;
};

static void on_gone(void *ctx)
{
    struct asked *asked = ctx;
    asked->request = NULL;
}

static void on_answers(void *ctx, const struct replica_answer *answers, size_t count)
{
    struct asked *asked = ctx;
    struct buf out;
    buf_init(&out, 64 << 20);
    for (size_t i = 0; i < count; i++) {
        if (answers[i].status == 200)
            buf_append(&out, answers[i].text.ptr, answers[i].text.len);
        else if (asked->is_json)
            buf_printf(&out, "{\"gateway\":\"%s\",\"error\":\"no answer\"}\n", answers[i].url);
        else
            buf_printf(&out, "gateway %s: no answer\n", answers[i].url);
    }
    if (asked->request)
        http_answer(asked->request, 200, NULL, "text/plain; charset=utf-8", buf_bytes(&out));
    buf_fini(&out);
    free(asked);
}

static void take(struct http_request *request, const char *name, char *storage, size_t size)
{
    if (!http_request_param(request, name, storage, size))
        storage[0] = '\0';
}

static void serve_others(struct http_request *request, void *ctx)
{
    struct refused *refused = ctx;
    struct question question = {.verb = QUESTION_REFUSED, .is_json = wants_json(request)};
    struct asked *asked = calloc(1, sizeof *asked);
    if (!asked) {
        http_answer_text(request, 503, "out of memory\n");
        return;
    }
    take(request, "signal", question.signal, sizeof question.signal);
    take(request, "cause", question.cause, sizeof question.cause);
    take(request, "backend", question.backend, sizeof question.backend);
    take(request, "origin", question.origin, sizeof question.origin);
    asked->request = request;
    asked->is_json = question.is_json;
    http_request_on_gone(request, on_gone, asked);
    if (replicas_ask(refused->replicas, &question, on_answers, asked) < 0)
        on_answers(asked, NULL, 0);
}

int refused_new(struct control *control, struct jobs *jobs, const struct gateway_config *config,
                struct buffer *const buffers[TELEMETRY_COUNT], struct receive *receive,
                struct replicas *replicas, struct refused **ret_refused)
{
    struct refused *refused = calloc(1, sizeof *refused);
    if (!refused)
        return -ENOMEM;
    refused->jobs = jobs;
    refused->config = config;
    memcpy(refused->buffers, buffers, sizeof refused->buffers);
    refused->replicas = replicas;
    receive_on_question(receive, QUESTION_REFUSED, tell, refused);
    control_add(control, "GET", "/refused", serve_list, refused);
    control_add(control, "GET", "/refused/others", serve_others, refused);
    control_add(control, "GET", "/refused/show", serve_show, refused);
    control_add(control, "POST", "/refused/retry", serve_retry, refused);
    control_add(control, "POST", "/refused/drop", serve_drop, refused);
    *ret_refused = refused;
    return 0;
}

void refused_close(struct refused *refused)
{
    free(refused);
}
