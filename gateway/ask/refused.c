#include "gateway/ask/refused.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/ask/refused_errands.h"
#include "gateway/ask/refused_others.h"
#include "gateway/ask/refused_work.h"

struct refused {
    struct jobs *jobs;                   /* borrowed, as the next two */
    const struct gateway_config *config; /* lives until the loop has ended */
    struct buffer *buffers[TELEMETRY_COUNT];
    struct refused_errands *errands; /* owned, as the next */
    struct refused_others *others;
};

/* ---- requests */

static bool wants_json(const struct http_request *request)
{
    char text[16];
    const char *format = http_request_param(request, "format", text, sizeof text);
    return format && strcmp(format, "json") == 0;
}

static const char *narrow(struct refused_work *work, struct http_request *request)
{
    char backend[REFUSED_WORK_TEXT], signal[16], cause[16], origin[REFUSED_WORK_TEXT], id[QUESTION_MAX_ID];
    struct refused_filter filter = {.backend =
                                        http_request_param(request, "backend", backend, sizeof backend),
                                    .signal = http_request_param(request, "signal", signal, sizeof signal),
                                    .cause = http_request_param(request, "cause", cause, sizeof cause),
                                    .origin = http_request_param(request, "origin", origin, sizeof origin),
                                    .id = http_request_param(request, "id", id, sizeof id)};
    return refused_work_narrow(work, &filter);
}

static void serve(struct http_request *request, struct refused *refused, enum refused_action action)
{
    static const struct job_kind looks = {refused_work_step, refused_work_free, false},
                                 sends = {refused_work_step, refused_work_free, true};
    struct refused_work *work = refused_work_new(refused->config, refused->buffers, action);
    const char *wrong = work ? narrow(work, request) : "out of memory\n";
    if (wrong) {
        http_answer_text(request, work ? 400 : 503, wrong);
        if (work)
            refused_work_free(work);
        return;
    }
    work->is_json = wants_json(request);
    jobs_start(refused->jobs, request, action == REFUSED_RETRY ? &sends : &looks, work);
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

int refused_new(struct loop *loop, struct control *control, struct jobs *jobs,
                const struct gateway_config *config, struct buffer *const buffers[TELEMETRY_COUNT],
                struct receive *receive, struct replicas *replicas, struct refused **ret_refused)
{
    struct refused *refused = calloc(1, sizeof *refused);
    if (!refused)
        return -ENOMEM;
    refused->jobs = jobs;
    refused->config = config;
    memcpy(refused->buffers, buffers, sizeof refused->buffers);
    int err = refused_errands_new(loop, config, buffers, replicas, &refused->errands);
    if (err == 0)
        err = refused_others_new(loop, control, config, replicas, &refused->others);
    if (err < 0) {
        refused_close(refused);
        return err;
    }
    receive_on_question(receive, QUESTION_REFUSED, refused_errands_tell, refused->errands);
    control_add(control, "GET", "/refused", serve_list, refused);
    control_add(control, "GET", "/refused/show", serve_show, refused);
    control_add(control, "POST", "/refused/retry", serve_retry, refused);
    control_add(control, "POST", "/refused/drop", serve_drop, refused);
    *ret_refused = refused;
    return 0;
}

void refused_close(struct refused *refused)
{
    if (!refused)
        return;
    refused_errands_close(refused->errands);
    refused_others_close(refused->others);
    free(refused);
}
