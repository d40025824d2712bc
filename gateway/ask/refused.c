#include "gateway/ask/refused.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/ask/refused_work.h"

struct refused {
    struct jobs *jobs;                   /* borrowed, as the next two */
    const struct gateway_config *config; /* lives until the loop has ended */
    struct buffer *buffers[TELEMETRY_COUNT];
    struct replicas *replicas; /* borrowed */
};

/* ---- requests */

static bool set_signal(struct refused_work *work, const char *value)
{
    work->only = -1;
    for (int s = 0; value && s < TELEMETRY_COUNT; s++)
        if (strcmp(value, telemetry_name((enum telemetry)s)) == 0)
            work->only = s;
    return !value || work->only >= 0;
}

static bool set_cause(struct refused_work *work, const char *value)
{
    work->filter.cause = -1;
    for (int c = 0; value && c < BUFFER_CAUSES; c++)
        if (strcmp(value, buffer_cause_name((enum buffer_cause)c)) == 0)
            work->filter.cause = c;
    return !value || work->filter.cause >= 0;
}

static bool take_id(struct http_request *request, struct refused_work *work)
{
    char text[REFUSED_WORK_TEXT], *end;
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

static const char *find_wrong(struct http_request *request, struct refused_work *work)
{
    char text[REFUSED_WORK_TEXT];
    work->is_json = wants_json(request);
    work->filter.backend = http_request_param(request, "backend", work->backend, sizeof work->backend);
    work->filter.origin = http_request_param(request, "origin", work->origin, sizeof work->origin);
    if (!set_signal(work, http_request_param(request, "signal", text, sizeof text)))
        return "signal: metrics, logs or traces\n";
    if (!set_cause(work, http_request_param(request, "cause", text, sizeof text)))
        return "cause: refused, repeated, overtaken or unresolved\n";
    return take_id(request, work) ? NULL : "id: a number\n";
}

static void serve(struct http_request *request, struct refused *refused, enum refused_action action)
{
    static const struct job_kind kind = {refused_work_step, refused_work_free};
    struct refused_work *work = refused_work_new(refused->config, refused->buffers, action);
    const char *wrong = work ? find_wrong(request, work) : "out of memory\n";
    if (wrong) {
        http_answer_text(request, work ? 400 : 503, wrong);
        if (work)
            refused_work_free(work);
        return;
    }
    work->is_json = work->is_json && (action == REFUSED_LIST || action == REFUSED_SHOW);
    jobs_start(refused->jobs, request, &kind, work);
}

static void serve_list(struct http_request *request, void *ctx)
{
    serve(request, ctx, REFUSED_LIST);
}

static void serve_show(struct http_request *request, void *ctx)
{
    serve(request, ctx, REFUSED_SHOW);
}

static void serve_retry(struct http_request *request, void *ctx)
{
    serve(request, ctx, REFUSED_RETRY);
}

static void serve_drop(struct http_request *request, void *ctx)
{
    serve(request, ctx, REFUSED_DROP);
}

/* ---- of other gateways */

static const char *or_any(const char *text)
{
    return text[0] ? text : NULL;
}

static void tell_all(struct refused_work *work, struct buf *text)
{
    static const _Atomic bool never;
    while (work->found < QUESTION_MOST_REFUSED)
        if (refused_work_step(work, &never, text) != JOB_GOES_ON)
            return;
    if (!work->is_json)
        buf_printf(text, "and perhaps more: ask %s itself\n", work->config->name);
}

/* What another gateway asks of us; on the loop, and bounded by QUESTION_MOST_REFUSED. */
static int tell(void *ctx, const struct question *question, struct buf *text)
{
    struct refused *refused = ctx;
    struct refused_work *work = refused_work_new(refused->config, refused->buffers, REFUSED_LIST);
    if (!work)
        return 503;
    work->is_json = question->is_json;
    work->is_for_others = true;
    work->filter.backend = or_any(question->backend);
    work->filter.origin = or_any(question->origin);
    bool is_right = set_signal(work, or_any(question->signal)) && set_cause(work, or_any(question->cause));
    if (is_right)
        tell_all(work, text);
    refused_work_free(work);
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
