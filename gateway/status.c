#include "gateway/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gateway/report.h"

enum { MOST_AGENTS = 4096 };

struct status {
    const char *name;        /* borrowed */
    struct web_parts *parts; /* borrowed */
    uv_timer_t timer;
    struct rate rates[REPORT_MAX_BACKENDS]; /* the backends' order is that of the configuration */
    struct fanout_view views[REPORT_MAX_BACKENDS];
    struct rate_view rate_views[REPORT_MAX_BACKENDS];
    struct receive_agent agents[MOST_AGENTS];
};

static size_t read_views(struct status *status)
{
    struct fanout *fanout = status->parts->fanout;
    return fanout ? fanout_views(fanout, status->views, REPORT_MAX_BACKENDS) : 0;
}

static void observe(struct status *status)
{
    size_t count = read_views(status);
    for (size_t i = 0; i < count; i++) {
        const struct fanout_view *view = &status->views[i];
        struct buffer_state state;
        buffer_get_state(status->parts->buffers[view->signal], &state);
        struct rate_point point = {.at_ns = clock_mono_ns(),
                                   .settled = view->ledger.accepted - view->ledger.buffered,
                                   .committed_bytes = state.committed_bytes,
                                   .lag_bytes = view->ledger.lag_bytes};
        rate_add(&status->rates[i], point);
    }
}

static void on_timer(uv_timer_t *timer)
{
    observe(timer->data);
}

static void fill(struct status *status, struct report *report)
{
    struct web_parts *parts = status->parts;
    *report = (struct report){.name = status->name,
                              .is_draining = parts->draining,
                              .now_ns = clock_wall_ns(),
                              .agents = status->agents,
                              .backends = status->views,
                              .rates = status->rate_views,
                              .backend_count = read_views(status)};
    if (parts->receive)
        report->agent_count = receive_agents(parts->receive, status->agents, MOST_AGENTS);
    for (size_t i = 0; i < report->backend_count; i++)
        status->rate_views[i] = rate_get(&status->rates[i]);
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

static void answer(struct http_request *request, int status, bool is_json, int err, struct buf *text)
{
    if (err < 0)
        http_answer_text(request, 503, "out of memory\n");
    else
        http_answer(request, status, NULL, is_json ? "application/json" : "text/plain; charset=utf-8",
                    buf_bytes(text));
    buf_fini(text);
}

static void serve_status(struct http_request *request, void *ctx)
{
    struct report report;
    struct buf text;
    bool is_json = wants_json(request);
    fill(ctx, &report);
    buf_init(&text, REPORT_MAX_BYTES);
    int err = is_json ? report_status_json(&report, &text) : report_status(&report, &text);
    answer(request, 200, is_json, err, &text);
}

static void serve_ledger(struct http_request *request, void *ctx)
{
    struct report report;
    struct buf text;
    bool is_json = wants_json(request), closes = true;
    fill(ctx, &report);
    for (size_t i = 0; i < report.backend_count; i++)
        closes = closes && report_imbalance(&report.backends[i].ledger) == 0;
    buf_init(&text, REPORT_MAX_BYTES);
    int err = is_json ? report_ledger_json(&report, &text) : report_ledger(&report, &text);
    answer(request, closes ? 200 : 409, is_json, err, &text);
}

/* ---- life */

int status_new(struct control *control, const char *name, struct web_parts *parts, struct status **ret_status)
{
    struct status *status = calloc(1, sizeof *status);
    if (!status)
        return -ENOMEM;
    status->name = name;
    status->parts = parts;
    uv_timer_init(&parts->loop->uv, &status->timer);
    status->timer.data = status;
    uv_timer_start(&status->timer, on_timer, RATE_PERIOD_MS, RATE_PERIOD_MS);
    observe(status);
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
